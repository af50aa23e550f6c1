import type { AuditEntry } from '../../model/audit-entry.ts'
import { MOST_BYTES, MOST_ENTRIES } from './append-request.ts'
import type { Append } from './append-to-chains.ts'

/** An append that somebody waits for. */
export interface WaitingAppend {
  append: Append
  /** The connection broke during a try: it may be stored. */
  outcomeUnknown?: unknown
  /** What it takes in memory. */
  readonly bytes: number
  readonly askedAt: number
  readonly resolve: (entries: readonly AuditEntry[]) => void
  readonly reject: (error: unknown) => void
}

/** Writes appends in one transaction and settles them; throws, and then none is settled. */
export type WriteAppends = (batch: readonly WaitingAppend[], lockTimeoutMs: number) => Promise<void>

/** How many of the first appends fit into one transaction: at least one. */
export function countThatFit(appends: Iterable<WaitingAppend>): number {
  let count = 0
  let entries = 0
  let bytes = 0
  for (const waiting of appends) {
    entries += waiting.append.payloads.length
    bytes += waiting.bytes
    if (count > 0 && (entries > MOST_ENTRIES || bytes > MOST_BYTES)) break
    count++
  }
  return count
}
