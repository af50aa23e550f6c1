import type { TripwireStorageError } from '../errors.ts'
import type { CallOptions } from './call-options.ts'
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

/** Which alerts are meant. Of each member that is given, an alert has to have one of the values. */
export interface AlertFilterInput {
  /** A host, or a list of 1 to 1,000. */
  readonly hostId?: string | readonly string[] | null | undefined
  /** A severity, or a list of them. */
  readonly severity?: SeverityLevel | readonly SeverityLevel[] | null | undefined
  /** A type, or a list of them. */
  readonly tripwireType?: TripwireType | readonly TripwireType[] | null | undefined
  /** The whole name of a rule, or a list of 1 to 1,000. */
  readonly ruleName?: string | readonly string[] | null | undefined
  /**
   * What `eventDetail` has to contain, as `@>` of PostgreSQL's `jsonb` has it: `{ path: '/etc/passwd' }` finds every object with
   * this member. A `RawJson`, or a plain JSON value; JSON null is `RawJson.from(null)`. Closed months have an index for it: see the
   * store's `detailIndexMonths`.
   */
  readonly detail?: RawJson | JsonValue | undefined
}

/** Which alerts, and of which time. */
export interface AlertSpanInput extends AlertFilterInput {
  /** The first moment of `receivedAt` that is included. By default there is no first. */
  readonly from?: TimestampInput | null | undefined
  /** The first moment of `receivedAt` that is not included any more. By default there is no last. */
  readonly to?: TimestampInput | null | undefined
  /** The first moment of `timestamp`, the sensor's clock, that is included. */
  readonly timestampFrom?: TimestampInput | null | undefined
  /** The first moment of `timestamp` that is not included any more. */
  readonly timestampTo?: TimestampInput | null | undefined
  /**
   * `newest`: by falling `receivedAt`, `alertId`, `hostId`. `oldest`: by rising ones. Defaults to newest.
   */
  readonly order?: AlertOrder | null | undefined
  /** Where an earlier page or stream of the same query ended: its `nextCursor`, or its `cursor`. */
  readonly cursor?: string | null | undefined
}

export const ALERT_ORDERS = ['newest', 'oldest'] as const
export type AlertOrder = (typeof ALERT_ORDERS)[number]

/** Which page of alerts to read. */
export interface AlertQuery extends AlertSpanInput {
  /** 1 to 10,000. Defaults to 100. */
  readonly limit?: number | null | undefined
  /** How many alerts to pass over; each is read all the same, so prefer `cursor`. Not together with it. Defaults to 0. */
  readonly offset?: number | null | undefined
}

/** Which alerts to read one after another. */
export interface AlertStreamQuery extends AlertSpanInput {
  /** How many alerts are read at a time, 1 to 10,000. Two such pages are in memory at the most. Defaults to 2,000. */
  readonly pageSize?: number | null | undefined
}

export interface AlertPage {
  readonly alerts: readonly Alert[]
  /** For the `cursor` of the next page; `null` at the end. It is bound to the filter, the span and the order of its query. */
  readonly nextCursor: string | null
}

/** Where to look for an alert. */
export interface AlertLookup extends CallOptions {
  /** The same id may stand under several hosts; without this, the alert that was received last is meant. */
  readonly hostId?: string | null | undefined
}
