import type { Alert } from '../../model/alert.ts'
import type { QueryRunner, SqlValue } from '../../pg/database.ts'
import { ALERT_COLUMNS, type AlertRow, alertFromRow } from '../alert-row.ts'
import { type AlertFilter, filterConditions } from '../query/alert-filter.ts'
import type { JournalSpan } from './read-journal.ts'
import type { AlertPlace } from './tail-position.ts'

/** How many alerts of one span are read at a time, at the most. */
export const MOST_OF_SPAN = 1000

interface TailAlertRow extends AlertRow {
  readonly span: number
}

/**
 * The alerts of each span that pass the filter, oldest first, up to `MOST_OF_SPAN` each.
 * @param after where those of the first transaction begin.
 */
export async function readTailAlerts(
  db: QueryRunner,
  spans: readonly JournalSpan[],
  after: AlertPlace | undefined,
  filter: AlertFilter,
): Promise<readonly (readonly Alert[])[]> {
  const { sql, values } = planTailRead(spans, after, filter)
  const { rows } = await db.query<TailAlertRow>(sql, values, { isRepeated: true })
  const found: Alert[][] = spans.map(() => [])
  for (const row of rows) found[row.span - 1]?.push(alertFromRow(row))
  return found
}

/**
 * The moments of a span let the server look into its partition alone, by the index of received_at; xmin tells the alerts of this
 * transaction from those of others.
 */
export function planTailRead(
  spans: readonly Pick<JournalSpan, 'oldest' | 'newest' | 'xmins'>[],
  after: AlertPlace | undefined,
  filter: AlertFilter,
): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const values: SqlValue[] = [
    spans.map(({ oldest }) => oldest),
    spans.map(({ newest }) => newest),
    spans.map(({ xmins }) => xmins),
  ]
  const conditions = [
    `received_at >= span.oldest AT TIME ZONE 'UTC'`,
    `received_at <= span.newest AT TIME ZONE 'UTC'`,
    ...(after ? behindPlace(after, values) : []),
    'alerts.xmin = ANY (span.xmins::xid[])',
    ...filterConditions(filter, values),
  ]
  const sql = `
  SELECT
    span.number::integer AS span,${ALERT_COLUMNS}
  FROM unnest($1::timestamp[], $2::timestamp[], $3::text[])
    WITH ORDINALITY AS span (oldest, newest, xmins, number)
  CROSS JOIN LATERAL (
    SELECT *
    FROM alerts
    WHERE ${conditions.join('\n      AND ')}
    ORDER BY
      received_at,
      alert_id,
      host_id
    LIMIT ${MOST_OF_SPAN}
  ) AS alerts
  ORDER BY
    span.number,
    alerts.received_at,
    alerts.alert_id,
    alerts.host_id`
  return { sql, values }
}

/** The moment by itself as well: partitions are not chosen by comparing rows. */
function behindPlace({ receivedAt, alertId, hostId }: AlertPlace, values: SqlValue[]): readonly string[] {
  const moment = `$${values.push(receivedAt)}::timestamp AT TIME ZONE 'UTC'`
  return [
    `received_at >= ${moment}`,
    `(received_at, alert_id, host_id) > (${moment}, $${values.push(alertId)}::uuid, $${values.push(hostId)}::uuid)`,
  ]
}
