import type { AlertPartition } from '../model/partition.ts'

const DAY_MS = 86_400_000

type Bounds = Pick<AlertPartition, 'state' | 'from' | 'to'>

/** The end of the last partition that is there without a hole from `now` on; `null` when not even `now` has one. */
export function horizonOf(partitions: readonly Bounds[], now: string): string | null {
  let horizon: string | null = null
  const attached = partitions.filter(({ state }) => state === 'attached')
  for (const { from, to } of attached.toSorted((a, b) => compare(a.from, b.from))) {
    const reached: string = horizon ?? now
    if (from !== null && from > reached) break
    if (to !== null && to > reached) horizon = to
  }
  return horizon
}

/** Without a lower bound comes first. */
function compare(a: string | null, b: string | null): number {
  if (a === b) return 0
  return (a ?? '') < (b ?? '') ? -1 : 1
}

/** How many days from now are covered. 0 when nothing is. */
export function horizonDays(horizon: string | null, nowMs: number): number {
  return horizon === null ? 0 : Math.max(0, (Date.parse(horizon) - nowMs) / DAY_MS)
}
