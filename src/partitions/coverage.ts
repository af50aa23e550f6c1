import type { AlertPartition } from '../model/partition.ts'
import { momentMs } from './months.ts'

/** A span of time; its end does not belong to it. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** What the bounds of a partition that is no DEFAULT partition cover. */
export function spanOf({ from, to }: Pick<AlertPartition, 'from' | 'to'>): Span {
  return {
    fromMs: from === null ? Number.NEGATIVE_INFINITY : momentMs(from),
    toMs: to === null ? Number.POSITIVE_INFINITY : momentMs(to),
  }
}

/** The partitions that take alerts, but for the DEFAULT one. */
export function attachedMonths<P extends Pick<AlertPartition, 'state' | 'isDefault'>>(
  partitions: readonly P[],
): readonly P[] {
  return partitions.filter(({ state, isDefault }) => state === 'attached' && !isDefault)
}

/** Until when everything from a moment on is covered; the moment itself when nothing is. */
export function coveredUntil(spans: readonly Span[], fromMs: number): number {
  let reached = fromMs
  for (const { fromMs: begin, toMs } of sorted(spans)) {
    if (begin > reached) break
    reached = Math.max(reached, toMs)
  }
  return reached
}

/** What is not covered between two moments. */
export function findGaps(spans: readonly Span[], within: Span): readonly Span[] {
  const gaps: Span[] = []
  let reached = within.fromMs
  for (const { fromMs, toMs } of sorted(spans)) {
    if (reached >= within.toMs) break
    if (fromMs > reached) gaps.push({ fromMs: reached, toMs: Math.min(fromMs, within.toMs) })
    reached = Math.max(reached, toMs)
  }
  if (reached < within.toMs) gaps.push({ fromMs: reached, toMs: within.toMs })
  return gaps
}

function sorted(spans: readonly Span[]): readonly Span[] {
  return spans.toSorted((a, b) => (a.fromMs < b.fromMs ? -1 : Number(a.fromMs > b.fromMs)))
}
