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
import { integerFromRow, selectTimestamp, timestampFromRow } from '../../pg/row-values.ts'
import { parseCountSpan, SPAN_MEMBERS } from './count-span.ts'
import { inCountTransaction } from './count-transaction.ts'
import { type CountRequest, countAlertsSql } from './exact-counts.ts'
import { listBuckets } from './timeline-buckets.ts'

/** Of all buckets together. Hosts and rules may be many. */
const MOST_GROUPS = 200_000

interface CountRow {
  readonly bucket: string
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
  const found = new Map(buckets.map(({ from }) => [from, { alerts: 0, groups: [] as AlertCountGroup[] }]))
  for (const row of rows) {
    const at = timestampFromRow(row.bucket)
    const one = found.get(at)
    if (!one)
      throw new TripwireStorageError('MALFORMED_ROW', `bucket: ${at} is none of the buckets asked for`)
    const alerts = integerFromRow('alerts', row.alerts)
    one.alerts += alerts
    if (groupBy !== null) one.groups.push({ value: row.value, alerts })
  }
  return buckets.map(bounds => ({ ...bounds, alerts: 0, groups: [], ...found.get(bounds.from) }))
}

async function readCounts(
  db: Database,
  request: CountRequest,
  limits: CallLimits,
): Promise<readonly CountRow[]> {
  const { sql, values } = countAlertsSql(request)
  const { rows } = await inCountTransaction(db, limits, transaction =>
    transaction.query<CountRow>(
      `
  WITH ${sql}
  SELECT
    ${selectTimestamp('bucket')},
    value,
    sum(alerts) AS alerts
  FROM counted
  GROUP BY counted.bucket, value
  HAVING sum(alerts) <> 0
  ORDER BY sum(alerts) DESC, value COLLATE "C"
  LIMIT ${MOST_GROUPS + 1}`,
      values,
    ),
  )
  if (rows.length > MOST_GROUPS) {
    throw new InvalidInputError(
      'query.groupBy',
      request.groupBy,
      `something that has at most ${MOST_GROUPS} values in all buckets together`,
    )
  }
  return rows
}
