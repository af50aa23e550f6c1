import type { AlertPartition } from '../model/partition.ts'
import { attachedMonths, coveredUntil, spanOf } from './coverage.ts'
import { DAY_MS, momentMs } from './months.ts'

type Bounds = Pick<AlertPartition, 'state' | 'isDefault' | 'from' | 'to'>

const WITHOUT_END = 'infinity'

/**
 * The end of the last partition that is there without a hole from `now` on; `null` when not even `now` has one, `infinity` when
 * that partition has no upper bound.
 */
export function horizonOf(partitions: readonly Bounds[], now: string): string | null {
  const months = attachedMonths(partitions)
  const nowMs = momentMs(now)
  const untilMs = coveredUntil(months.map(spanOf), nowMs)
  if (untilMs === nowMs) return null
  return months.find(month => spanOf(month).toMs === untilMs)?.to ?? WITHOUT_END
}

/** How many days from now are covered. 0 when nothing is. */
export function horizonDays(horizon: string | null, nowMs: number): number {
  if (horizon === WITHOUT_END) return Number.POSITIVE_INFINITY
  return horizon === null ? 0 : Math.max(0, (momentMs(horizon) - nowMs) / DAY_MS)
}
