import type { TripwireStorageError } from '../errors.ts'
import type { JsonValue, RawJson } from './raw-json.ts'
import type { TimestampInput } from './timestamp.ts'

export const TRIPWIRE_TYPES = ['FILE', 'NETWORK', 'PROCESS'] as const
export type TripwireType = (typeof TRIPWIRE_TYPES)[number]

/** In rising order, as the database compares them. */
export const SEVERITY_LEVELS = ['INFO', 'WARN', 'CRITICAL'] as const
export type SeverityLevel = (typeof SEVERITY_LEVELS)[number]

/** A security alert as it is stored. */
export interface Alert {
  readonly alertId: string
  readonly hostId: string
  /** When the sensor saw it, by the sensor's clock. RFC 3339, UTC, microseconds. */
  readonly timestamp: string
  readonly tripwireType: TripwireType
  readonly ruleName: string
  /** `null` is SQL NULL: no detail was given. JSON `null` is a `RawJson` with the text `null`. */
  readonly eventDetail: RawJson | null
  readonly severity: SeverityLevel
  /** When the server took it. It chooses the month's partition. RFC 3339, UTC, microseconds. */
  readonly receivedAt: string
}

/** An alert as a sensor or a request handler hands it in. */
export interface NewAlert {
  /** The identity of the alert: the same id for the same host is stored once. Defaults to a random UUID. */
  readonly alertId?: string | undefined
  /** A registered host. */
  readonly hostId: string
  readonly timestamp: TimestampInput
  readonly tripwireType: TripwireType
  /** 1 to 1,000 characters. */
  readonly ruleName: string
  /** A `RawJson`, or a plain JSON value. Absent and `null` are stored as SQL NULL; JSON null is `RawJson.from(null)`. */
  readonly eventDetail?: RawJson | JsonValue | undefined
  readonly severity: SeverityLevel
  /** Defaults to the time of the database server when the alert is stored. */
  readonly receivedAt?: TimestampInput | null | undefined
}

/** What became of one alert. */
export interface AlertReceipt {
  readonly alertId: string | undefined
  /**
   * `stored`: it is in the database now. `duplicate`: it was there already. `spooled`: it is on the local disk, and will be
   * stored when the database is back. `rejected`: it cannot be stored, `error` says why, and it is kept as a dead letter.
   */
  readonly outcome: 'stored' | 'duplicate' | 'spooled' | 'rejected'
  readonly error?: TripwireStorageError
}

/** Which alerts to read, newest first. */
export interface AlertQuery {
  /** The first moment of `receivedAt` that is included. */
  readonly from: TimestampInput
  /** The first moment of `receivedAt` that is not included any more. */
  readonly to: TimestampInput
  readonly hostId?: string | undefined
  readonly severity?: SeverityLevel | undefined
  /** 1 to 10,000. Defaults to 100. */
  readonly limit?: number | undefined
  /** How many of the newest alerts to pass over. Defaults to 0. */
  readonly offset?: number | undefined
}

export interface AlertPage {
  readonly alerts: readonly Alert[]
}
