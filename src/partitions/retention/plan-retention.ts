import type { AlertPartition } from '../../model/partition.ts'
import type { RetentionPolicy } from './retention-policy.ts'

/** The window of docs/design/ingest.md, "Exactly once". */
const RESEND_WINDOW_MS = 7 * 86_400_000

type Month = AlertPartition & { readonly from: string; readonly to: string }

/**
 * Which months go, oldest first. Only whole months are looked at that ended more than a week ago: until then an alert of theirs
 * may be sent again, and has to be recognised. And only those whose bounds are a month's: others have no archive to go to.
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
  const aWeekAgo = new Date(Date.parse(now) - RESEND_WINDOW_MS).toISOString()
  const ended = counted.filter(({ to }) => to <= aWeekAgo)
  // The empty text comes before every moment.
  const oldestKept = policy.keepMonths === undefined ? '' : firstOfMonth(now, policy.keepMonths)
  const overflow = beyondBytes(counted, policy.keepBytes ?? Number.POSITIVE_INFINITY)
  return ended.filter(
    ({ state, partition, to }) => state === 'detached' || to <= oldestKept || overflow.has(partition),
  )
}

function isMonth(partition: AlertPartition): partition is Month {
  return (
    partition.isMonth &&
    partition.isTable &&
    partition.from !== null &&
    partition.to !== null &&
    partition.state !== 'detaching'
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
