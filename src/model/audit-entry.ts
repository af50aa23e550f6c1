import type { JsonValue, RawJson } from './raw-json.ts'
import type { TimestampInput } from './timestamp.ts'

/** The `prevHash` of a host's first entry: 64 zeros. */
export const GENESIS_HASH = '0'.repeat(64)

/** One link of a host's audit chain. */
export interface AuditEntry {
  readonly entryId: string
  readonly hostId: string
  /** From 1, without gaps, per host. */
  readonly sequenceNum: number
  /** SHA-256, 64 lower-case hexadecimal digits. */
  readonly eventHash: string
  /** The `eventHash` of the entry before, or 64 zeros. */
  readonly prevHash: string
  readonly payload: RawJson
  /** RFC 3339, UTC, microseconds. */
  readonly createdAt: string
}

/** An audit entry whose caller keeps the chain: it brings the sequence number and both hashes. */
export interface NewAuditEntry {
  /** Defaults to a random UUID. */
  readonly entryId?: string
  readonly hostId: string
  readonly sequenceNum: number
  readonly eventHash: string
  readonly prevHash: string
  readonly payload: RawJson | JsonValue
  /** Defaults to the time of the database server. */
  readonly createdAt?: TimestampInput
}

export interface AuditQuery {
  readonly hostId: string
  /** The first moment of `createdAt` that is included. Defaults to the beginning. */
  readonly from?: TimestampInput | undefined
  /** The first moment of `createdAt` that is not included any more. Defaults to the end. */
  readonly to?: TimestampInput | undefined
}
