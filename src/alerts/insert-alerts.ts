import type { AcceptedAlert } from '../model/accepted-alert.ts'
import type { QueryRunner } from '../pg/database.ts'

/**
 * One statement for any number of alerts: every column is one array parameter.
 *
 * The unique index (alert_id, host_id) on each month's partition refuses what that month holds already. An alert that was
 * first stored in an earlier month is found by looking back over the deduplication window ($9, seconds; NULL: all months).
 * Rows are written in the order of their ids, so that two batches cannot wait for each other in a circle.
 */
const INSERT_ALERTS = `
  INSERT INTO alerts (
    alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at
  )
  SELECT
    given.alert_id,
    given.host_id,
    given.timestamp,
    given.tripwire_type,
    given.rule_name,
    given.event_detail,
    given.severity,
    coalesce(given.received_at, now())
  FROM unnest(
    $1::uuid[],
    $2::uuid[],
    $3::timestamptz[],
    $4::tripwire_type[],
    $5::text[],
    $6::jsonb[],
    $7::severity_level[],
    $8::timestamptz[]
  ) AS given (
    alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at
  )
  WHERE NOT EXISTS (
    SELECT
    FROM alerts AS earlier
    WHERE earlier.alert_id = given.alert_id
      AND earlier.host_id = given.host_id
      AND earlier.received_at >= coalesce(now() - make_interval(secs => $9), '-infinity')
  )
  ORDER BY given.alert_id, given.host_id
  ON CONFLICT DO NOTHING
  RETURNING
    alert_id AS "alertId",
    host_id AS "hostId"`

export type InsertOutcome = 'stored' | 'duplicate'

/**
 * Stores a batch in one statement: all of it or, when it throws, nothing.
 * @returns the outcome of each alert, in the order given.
 */
export async function insertAlerts(
  db: QueryRunner,
  alerts: readonly AcceptedAlert[],
  deduplicationWindowMs: number,
): Promise<readonly InsertOutcome[]> {
  const { rows } = await db.query<{ alertId: string; hostId: string }>(INSERT_ALERTS, [
    alerts.map(alert => alert.alertId),
    alerts.map(alert => alert.hostId),
    alerts.map(alert => alert.timestamp),
    alerts.map(alert => alert.tripwireType),
    alerts.map(alert => alert.ruleName),
    alerts.map(alert => alert.eventDetail?.text ?? null),
    alerts.map(alert => alert.severity),
    alerts.map(alert => alert.receivedAt),
    Number.isFinite(deduplicationWindowMs) ? deduplicationWindowMs / 1000 : null,
  ])
  const stored = new Set(rows.map(row => `${row.alertId} ${row.hostId}`))
  // An alert that stands twice in the batch was stored once: the first takes the credit.
  return alerts.map(alert => (stored.delete(`${alert.alertId} ${alert.hostId}`) ? 'stored' : 'duplicate'))
}
