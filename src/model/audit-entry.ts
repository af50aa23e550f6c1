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
  /** The hash over the whole row, where `eventHash` is the caller's own; otherwise `null`. */
  readonly rowHash: string | null
  /** Of docs/audit-chain.md, by which the row is protected; 0: it is not. */
  readonly hashVersion: number
}

/** A connection of the caller inside a transaction, such as a client of `pg` after BEGIN. */
export interface TransactionClient {
  query(text: string, values: string[]): Promise<{ readonly rows: readonly object[] }>
}

export interface AppendAuditOptions {
  /**
   * Appends in this transaction of the caller: what it rolls back was not appended. Other appends to the host wait until it ends.
   * It should be READ COMMITTED. Appends on one client are made one after another, in the order of the calls.
   * By default the store appends in a transaction of its own, which concurrent calls share.
   */
  readonly client?: TransactionClient | undefined
  /**
   * A UUID for each payload. A call with the same ids and payloads can be repeated any number of times, as after a lost connection:
   * what is stored already comes back, and nothing is appended. Defaults to random ones.
   */
  readonly entryIds?: readonly string[] | undefined
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
  /** 31 days ahead of the database server's time at the most, or that of the entry before. Defaults to the time of the database server. */
  readonly createdAt?: TimestampInput
}

export interface AuditQuery {
  readonly hostId: string
  /** The first moment of `createdAt` that is included. Defaults to the beginning. */
  readonly from?: TimestampInput | undefined
  /** The first moment of `createdAt` that is not included any more. Defaults to the end. */
  readonly to?: TimestampInput | undefined
}
