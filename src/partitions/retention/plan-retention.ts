import type { AlertPartition } from '../../model/partition.ts'
import type { RetentionPolicy } from './retention-policy.ts'

type Month = AlertPartition & { readonly from: string; readonly to: string }

/**
 * Which months go, oldest first. Only whole months that ended before the present one began are looked at, and of those only
 * the ones whose bounds are a month's: a partition with other bounds has no archive to go to.
 * @param now the server's, RFC 3339 in UTC.
 */
export function planRetention(
  partitions: readonly AlertPartition[],
  policy: RetentionPolicy,
  now: string,
): readonly Month[] {
  const counted = partitions
    .filter(isMonth)
    .filter(({ state, restoredAt }) => restoredAt === null || policy.includeRestored || state === 'detached')
  const ended = counted.filter(({ to }) => to <= firstOfMonth(now, 0))
  // The empty text comes before every moment.
  const oldestKept = policy.keepMonths === undefined ? '' : firstOfMonth(now, policy.keepMonths)
  const overflow = beyondBytes(counted, policy.keepBytes ?? Number.POSITIVE_INFINITY)
  return ended.filter(
    ({ state, partition, to }) => state === 'detached' || to <= oldestKept || overflow.has(partition),
  )
}

function isMonth(partition: AlertPartition): partition is Month {
  return (
    partition.isMonth && partition.from !== null && partition.to !== null && partition.state !== 'detaching'
  )
}

/** The first moment of the month so many before the present one. */
function firstOfMonth(now: string, monthsBefore: number): string {
  const moment = new Date(now)
  const first = new Date(Date.UTC(moment.getUTCFullYear(), moment.getUTCMonth() - monthsBefore))
  return `${first.toISOString().slice(0, 19)}.000000Z`
}

/** The months that do not fit any more when they are counted from the newest, and all that are older than one of them. */
function beyondBytes(months: readonly Month[], keepBytes: number): ReadonlySet<string> {
  const beyond = new Set<string>()
  let bytes = 0
  for (const month of months.filter(({ state }) => state === 'attached').toReversed()) {
    bytes += month.bytes
    if (bytes > keepBytes) beyond.add(month.partition)
  }
  return beyond
}
