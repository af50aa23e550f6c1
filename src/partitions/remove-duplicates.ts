import type { DeduplicatedPartition } from '../model/partition.ts'
import type { QueryRunner } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { integerFromRow } from '../pg/row-values.ts'
import { ALERT_LINE } from './archive/alert-line.ts'

/**
 * One statement, so that a copy is never gone without being a dead letter. No lock: alerts are not changed once they are
 * written, and a copy that arrives meanwhile is found when the unique index is built.
 */
function removeDuplicatesFrom(table: string): string {
  return `
  WITH doubled AS (
    SELECT
      alert_id,
      host_id
    FROM ${table}
    GROUP BY
      alert_id,
      host_id
    HAVING count(*) > 1
  ),
  copies AS (
    SELECT
      alerts.ctid AS place,
      (alerts.timestamp, alerts.tripwire_type, alerts.rule_name, alerts.event_detail, alerts.severity)
        IS NOT DISTINCT FROM
      first_value(
        (alerts.timestamp, alerts.tripwire_type, alerts.rule_name, alerts.event_detail, alerts.severity)
      ) OVER same_alert AS is_same,
      row_number() OVER same_alert AS position
    FROM ${table} AS alerts
    JOIN doubled
      USING (alert_id, host_id)
    WINDOW same_alert AS (
      PARTITION BY alerts.alert_id, alerts.host_id
      ORDER BY alerts.received_at, alerts.ctid
    )
  ),
  removed AS (
    DELETE FROM ${table} AS alerts
    USING copies
    WHERE alerts.ctid = copies.place
      AND copies.position > 1
    RETURNING
      alerts.alert_id,
      alerts.host_id,
      copies.is_same,
      convert_to(${ALERT_LINE}, 'UTF8') AS alert_json
  ),
  dead_letters AS (
    INSERT INTO alert_dead_letters (alert_json, alert_id, host_id, reason, message)
    SELECT DISTINCT
      alert_json,
      alert_id,
      host_id,
      'ALERT_CONFLICT',
      format('alert %s of host %s stood twice in its month, with other content', alert_id, host_id)
    FROM removed
    WHERE NOT is_same
    ON CONFLICT (alert_sha256, reason) DO UPDATE
    SET
      attempts = alert_dead_letters.attempts + 1,
      last_attempt_at = now()
  )
  SELECT
    count(*) AS removed,
    count(*) FILTER (WHERE NOT is_same) AS "deadLettered"
  FROM removed`
}

/**
 * Where an alert stands in a partition twice, keeps the first that was received. A copy with the same content is removed; one
 * with other content becomes a dead letter, as the ingest would have made it.
 */
export async function removeDuplicates(db: QueryRunner, partition: string): Promise<DeduplicatedPartition> {
  const { rows } = await db.query<{ removed: string; deadLettered: string }>(
    removeDuplicatesFrom(quoteIdentifier(partition)),
  )
  return {
    partition,
    removed: integerFromRow('removed', rows[0]?.removed ?? '0'),
    deadLettered: integerFromRow('deadLettered', rows[0]?.deadLettered ?? '0'),
  }
}
