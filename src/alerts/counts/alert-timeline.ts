import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import {
  type AlertCountGroup,
  type AlertTimelineBucket,
  TIMELINE_BUCKETS,
  TIMELINE_GROUPS,
} from '../../model/alert-counts.ts'
import { parseObject, parseOneOf, parseOptional } from '../../model/input.ts'
import type { CallLimits } from '../../pg/call-limits.ts'
import type { Database } from '../../pg/database.ts'
import { integerFromRow } from '../../pg/row-values.ts'
import { parseCountSpan, SPAN_MEMBERS } from './count-span.ts'
import { inCountTransaction } from './count-transaction.ts'
import { type CountRequest, countAlertsSql } from './exact-counts.ts'
import { type BucketBounds, listBuckets } from './timeline-buckets.ts'

/** Of all buckets together. Hosts and rules may be many. */
const MOST_GROUPS = 200_000
const MS_A_SECOND = 1000

interface CountRow {
  /** Since 1970, of the first moment. */
  readonly seconds: string
  readonly value: string
  readonly alerts: string
}

/**
 * Counts alerts by steps of time, exactly as the rows are at this moment.
 * @throws InvalidInputError
 */
export async function alertTimeline(
  db: Database,
  query: unknown,
  limits: CallLimits,
): Promise<readonly AlertTimelineBucket[]> {
  const given = parseObject('query', query, [...SPAN_MEMBERS, 'bucket', 'groupBy'])
  const span = parseCountSpan(given)
  const bucket = parseOneOf('query.bucket', given.bucket, TIMELINE_BUCKETS)
  const groupBy = parseOptional(given.groupBy, value => parseOneOf('query.groupBy', value, TIMELINE_GROUPS))
  const buckets = listBuckets(bucket, span.from, span.to)
  const rows = await readCounts(db, { ...span, bucket, groupBy }, limits)
  return fillBuckets(buckets, rows, groupBy !== null)
}

interface FilledBucket extends BucketBounds {
  alerts: number
  readonly groups: AlertCountGroup[]
}

function fillBuckets(
  bounds: readonly BucketBounds[],
  rows: readonly CountRow[],
  isGrouped: boolean,
): readonly AlertTimelineBucket[] {
  const filled: readonly FilledBucket[] = bounds.map(each => ({ ...each, alerts: 0, groups: [] }))
  const bySecond = new Map(filled.map(bucket => [Date.parse(bucket.from) / MS_A_SECOND, bucket]))
  for (const row of rows) {
    const bucket = bySecond.get(Number(row.seconds))
    if (!bucket) {
      throw new TripwireStorageError(
        'MALFORMED_ROW',
        `${row.seconds} is the beginning of no bucket asked for`,
      )
    }
    const alerts = integerFromRow('alerts', row.alerts)
    bucket.alerts += alerts
    if (isGrouped) bucket.groups.push({ value: row.value, alerts })
  }
  for (const { groups } of filled) groups.sort(compareGroups)
  return filled
}

function compareGroups(a: AlertCountGroup, b: AlertCountGroup): number {
  if (a.alerts !== b.alerts) return b.alerts - a.alerts
  return a.value < b.value ? -1 : 1
}

async function readCounts(
  db: Database,
  request: CountRequest,
  limits: CallLimits,
): Promise<readonly CountRow[]> {
  const { rows } = await inCountTransaction(db, request, limits, (transaction, partitions) => {
    const { sql, values } = countAlertsSql(request, partitions)
    return transaction.query<CountRow>(
      `
  WITH ${sql}
  SELECT
    date_part('epoch', bucket) AS seconds,
    value,
    sum(alerts) AS alerts
  FROM counted
  GROUP BY bucket, value
  HAVING sum(alerts) <> 0
  LIMIT ${MOST_GROUPS + 1}`,
      values,
    )
  })
  if (rows.length > MOST_GROUPS) {
    throw new InvalidInputError(
      'query.groupBy',
      request.groupBy,
      `something that has at most ${MOST_GROUPS} values in all buckets together`,
    )
  }
  return rows
}
