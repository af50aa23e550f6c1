import type { AuditFinding } from '../../model/audit-verification.ts'

/** A finding in the chain of one host. */
export type ChainFinding = Omit<AuditFinding, 'hostId'>

/** Entries from one number to another, both included. */
export interface Span {
  readonly first: bigint
  readonly last: bigint
}

/** Spans put together where they touch, in their order. */
export function mergeSpans(spans: Iterable<Span>): readonly Span[] {
  const merged: { first: bigint; last: bigint }[] = []
  for (const span of [...spans].sort((a, b) => (a.first < b.first ? -1 : 1))) {
    const before = merged.at(-1)
    if (before && span.first <= before.last + 1n) {
      if (span.last > before.last) before.last = span.last
    } else {
      merged.push({ ...span })
    }
  }
  return merged
}
