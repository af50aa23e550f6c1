import type { TimelineBucket, TimelineGroup } from '../../model/alert-counts.ts'
import type { SqlValue } from '../../pg/database.ts'
import type { ClosedPartitions } from './closed-partitions.ts'
import type { CountSpan } from './count-span.ts'

/** Where a value that is told apart stands: in the counts, and in the alerts. */
interface CountedBy {
  readonly dimension: 'total' | 'type' | 'host' | 'rule'
  readonly ofCounts: string
  readonly ofAlerts: string
}

const TOTAL: CountedBy = { dimension: 'total', ofCounts: `''`, ofAlerts: `''` }
const GROUPS: Readonly<Record<TimelineGroup, CountedBy>> = {
  severity: { dimension: 'total', ofCounts: 'severity::text', ofAlerts: 'severity::text' },
  tripwireType: { dimension: 'type', ofCounts: 'value', ofAlerts: 'tripwire_type::text' },
  hostId: { dimension: 'host', ofCounts: 'value', ofAlerts: 'host_id::text' },
  ruleName: { dimension: 'rule', ofCounts: 'value', ofAlerts: 'rule_name' },
}

/** What is counted, and by what. */
export interface CountRequest extends CountSpan {
  /** `null`: the whole span is one. */
  readonly bucket: TimelineBucket | null
  readonly groupBy: TimelineGroup | null
}

/** Whether counts by the hour are of any use for steps of this length. */
export function sumsHours(bucket: TimelineBucket | null): boolean {
  return bucket !== 'minute'
}

/**
 * A query `counted (bucket, value, alerts)`, to be summed, as a CTE with those that it needs. Closed hours are summed; everything else is read: hours that
 * are open, the edges of the span, and buckets below an hour. All of it is one statement, so the sums and the rows are of one moment.
 * @param partitions what may be summed: `listClosedPartitions` asked for it before.
 */
export function countAlertsSql(
  request: CountRequest,
  { partitionIds, attachedBy }: ClosedPartitions,
): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const { from, to, bucket, groupBy, severities } = request
  const { dimension, ofCounts, ofAlerts } = groupBy === null ? TOTAL : GROUPS[groupBy]
  const bucketOf = (moment: string) =>
    bucket === null ? 'NULL::timestamptz' : `date_trunc('${bucket}', ${moment}, 'UTC')`
  const ofSeverity =
    severities === null ? '' : `AND severity IN (${severities.map(name => `'${name}'`).join(', ')})`
  const sql = `
  closed AS MATERIALIZED (
    SELECT
      min(hour) AS span_from,
      max(hour) + INTERVAL '1 hour' AS span_to
    FROM (
      SELECT
        hour,
        hour - row_number() OVER (ORDER BY hour) * INTERVAL '1 hour' AS island
      FROM list_closed_alert_hours($1::timestamptz, ${sumsHours(bucket) ? '$2' : '$1'}::timestamptz)
      -- A partition that was attached after this statement was planned is not read by it, so it is not summed either.
      JOIN unnest($3::oid[], $4::xid[]) AS planned (partition_id, attached_by)
        USING (partition_id, attached_by)
    ) AS hours
    GROUP BY island
  ),
  open AS MATERIALIZED (
    SELECT
      span_from,
      span_to
    FROM (
      SELECT
        coalesce(lag(span_to) OVER (ORDER BY span_from), $1::timestamptz) AS span_from,
        span_from AS span_to
      FROM closed
      UNION ALL
      SELECT
        coalesce(max(span_to), $1::timestamptz),
        $2::timestamptz
      FROM closed
    ) AS gaps
    WHERE span_from < span_to
  ),
  counted AS (
    SELECT
      ${bucket === 'hour' ? 'hour' : bucketOf('hour')} AS bucket,
      ${ofCounts} AS value,
      alerts
    FROM closed
    JOIN alert_hour_counts
      ON hour >= span_from
      AND hour < span_to
    WHERE dimension = '${dimension}'
      AND hour >= $1::timestamptz
      AND hour < $2::timestamptz
      ${ofSeverity}
    UNION ALL
    SELECT
      ${bucketOf('received_at')},
      ${ofAlerts},
      count(*)
    FROM open
    CROSS JOIN LATERAL (
      SELECT *
      FROM alerts
      WHERE received_at >= span_from
        AND received_at < span_to
        -- Of this the planner can tell which partitions it need not look at.
        AND received_at >= $1::timestamptz
        AND received_at < $2::timestamptz
        ${ofSeverity}
      -- Keeps the planner from reading the whole span once, and comparing that with each of the open ones.
      OFFSET 0
    ) AS live
    GROUP BY 1, 2
  )`
  return { sql, values: [from, to, partitionIds, attachedBy] }
}
