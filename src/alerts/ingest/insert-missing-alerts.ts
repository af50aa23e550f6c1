import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { QueryRunner, SqlValue } from '../../pg/database.ts'

/**
 * The slow path: one statement for any number of alerts that passes over those that are stored. Every column is one array
 * parameter. The unique index of each month refuses what that month holds; what an earlier month holds is looked for
 * over the last week, as the trigger does, or, where $9 says so, in all months. Rows are written in the order of their
 * ids, so that two batches cannot wait for each other in a circle. Of two with the same id the first given is written.
 *
 * OFFSET 0: one look-up in the unique index of each month. On a young partition, of which the planner knows nothing, it
 * would otherwise prefer an index that reads all alerts of a host.
 */
const INSERT_MISSING_ALERTS = `
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
  ) WITH ORDINALITY AS given (
    alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at, position
  )
  WHERE NOT EXISTS (
    SELECT
    FROM (
      SELECT found.received_at
      FROM alerts AS found
      WHERE found.alert_id = given.alert_id
        AND found.host_id = given.host_id
      OFFSET 0
    ) AS stored
    WHERE $9
      OR (
        stored.received_at >= coalesce(given.received_at, now()) - INTERVAL '7 days'
        AND stored.received_at < coalesce(given.received_at, now()) + INTERVAL '7 days'
      )
  )
  ORDER BY given.alert_id, given.host_id, given.position
  ON CONFLICT DO NOTHING
  RETURNING
    alert_id AS "alertId",
    host_id AS "hostId"`

/** Which of the given alerts stand in the table with other content. `received_at` is ours, not the sender's. */
const FIND_CONFLICTS = `
  SELECT given.position::int AS position
  FROM unnest(
    $1::uuid[],
    $2::uuid[],
    $3::timestamptz[],
    $4::tripwire_type[],
    $5::text[],
    $6::jsonb[],
    $7::severity_level[]
  ) WITH ORDINALITY AS given (
    alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, position
  )
  CROSS JOIN LATERAL (
    SELECT found.*
    FROM alerts AS found
    WHERE found.alert_id = given.alert_id
      AND found.host_id = given.host_id
    OFFSET 0
  ) AS stored
  GROUP BY given.position
  HAVING NOT bool_or(
    (stored.timestamp, stored.tripwire_type, stored.rule_name, stored.event_detail, stored.severity)
      IS NOT DISTINCT FROM
    (given.timestamp, given.tripwire_type, given.rule_name, given.event_detail, given.severity)
  )`

/** `conflict`: an alert with the same id and host is stored, and says something else. */
export type InsertOutcome = 'stored' | 'duplicate' | 'conflict'

/**
 * Stores those alerts of a batch that are not stored yet, in one statement: all of them or, when it throws, none.
 * @returns the outcome of each alert, in the order given.
 */
export async function insertMissingAlerts(
  db: QueryRunner,
  alerts: readonly AcceptedAlert[],
  inAllMonths: boolean,
): Promise<readonly InsertOutcome[]> {
  const { rows } = await db.query<{ alertId: string; hostId: string }>(INSERT_MISSING_ALERTS, [
    ...contentOf(alerts),
    alerts.map(alert => alert.receivedAt),
    inAllMonths,
  ])
  const stored = new Set(rows.map(keyOf))
  // An alert that stands twice in the batch was stored once: the first takes the credit.
  const outcomes = alerts.map(
    (alert): InsertOutcome => (stored.delete(keyOf(alert)) ? 'stored' : 'duplicate'),
  )
  const passedOver = alerts.flatMap((alert, index) =>
    outcomes[index] === 'duplicate' ? [{ alert, index }] : [],
  )
  if (passedOver.length > 0) {
    const conflicts = await db.query<{ position: number }>(
      FIND_CONFLICTS,
      contentOf(passedOver.map(({ alert }) => alert)),
    )
    for (const { position } of conflicts.rows) {
      const found = passedOver[position - 1]
      if (found) outcomes[found.index] = 'conflict'
    }
  }
  return outcomes
}

function contentOf(alerts: readonly AcceptedAlert[]): readonly SqlValue[] {
  return [
    alerts.map(alert => alert.alertId),
    alerts.map(alert => alert.hostId),
    alerts.map(alert => alert.timestamp),
    alerts.map(alert => alert.tripwireType),
    alerts.map(alert => alert.ruleName),
    alerts.map(alert => alert.eventDetail?.text ?? null),
    alerts.map(alert => alert.severity),
  ]
}

function keyOf(alert: { readonly alertId: string; readonly hostId: string }): string {
  return `${alert.alertId} ${alert.hostId}`
}
