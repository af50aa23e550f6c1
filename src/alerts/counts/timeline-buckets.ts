import { InvalidInputError } from '../../errors.ts'
import type { TimelineBucket } from '../../model/alert-counts.ts'

/** More than that no chart shows. */
export const MOST_BUCKETS = 10_000

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const DAYS_OF_WEEK = 7
const DATE_LENGTH = 19
/** The text of later ones has another form, which nobody takes. No span holds this one. */
const LAST_MOMENT = '9999-12-31T23:59:59.999999Z'
const AFTER_LAST_MS = Date.UTC(10_000, 0)

/** A step of time in UTC: its first moment, and the first that does not belong to it. In the form of `parseTimestamp`. */
export interface BucketBounds {
  readonly from: string
  readonly to: string
}

/**
 * The buckets that a span touches, in order, as `date_trunc` of PostgreSQL cuts them.
 * @throws InvalidInputError where there would be too many.
 */
export function listBuckets(bucket: TimelineBucket, from: string, to: string): readonly BucketBounds[] {
  const buckets: BucketBounds[] = []
  let start = firstMoment(bucket, new Date(from))
  while (textOf(start) < to) {
    if (buckets.length === MOST_BUCKETS) {
      throw new InvalidInputError(
        'query.bucket',
        bucket,
        `one of which at most ${MOST_BUCKETS} lie between from and to`,
      )
    }
    const next = nextBucket(bucket, start)
    buckets.push({ from: textOf(start), to: textOf(next) })
    start = next
  }
  return buckets
}

function firstMoment(bucket: TimelineBucket, moment: Date): Date {
  const ms = moment.getTime()
  if (bucket === 'minute') return new Date(Math.floor(ms / MINUTE_MS) * MINUTE_MS)
  if (bucket === 'hour') return new Date(Math.floor(ms / HOUR_MS) * HOUR_MS)
  const day = new Date(Math.floor(ms / DAY_MS) * DAY_MS)
  if (bucket === 'month') day.setUTCDate(1)
  // Sunday is the 0th day of a date, and the last one of a week.
  if (bucket === 'week')
    day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + DAYS_OF_WEEK - 1) % DAYS_OF_WEEK))
  return day
}

function nextBucket(bucket: TimelineBucket, start: Date): Date {
  const next = new Date(start)
  if (bucket === 'minute') next.setTime(start.getTime() + MINUTE_MS)
  else if (bucket === 'hour') next.setTime(start.getTime() + HOUR_MS)
  else if (bucket === 'month') next.setUTCMonth(start.getUTCMonth() + 1)
  else next.setUTCDate(start.getUTCDate() + (bucket === 'week' ? DAYS_OF_WEEK : 1))
  return next
}

function textOf(moment: Date): string {
  if (moment.getTime() >= AFTER_LAST_MS) return LAST_MOMENT
  return `${moment.toISOString().slice(0, DATE_LENGTH)}.000000Z`
}
