import { ALERT_LINE } from './archive/alert-line.ts'

/** What an alert says, whenever it was received. */
export function contentOf(table: string): string {
  return `(${table}.timestamp, ${table}.tripwire_type, ${table}.rule_name, ${table}.event_detail, ${table}.severity)`
}

/**
 * Each row of a table but the first of its alert, as `copies`, for `removeCopiesFrom`. By tableoid and ctid, because the table may
 * be partitioned itself.
 */
export function copiesWithin(table: string): string {
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
  ranked AS (
    SELECT
      alerts.tableoid AS partition,
      alerts.ctid AS place,
      ${contentOf('alerts')} IS NOT DISTINCT FROM first_value(${contentOf('alerts')}) OVER same_alert AS is_same,
      row_number() OVER same_alert AS position
    FROM ${table} AS alerts
    JOIN doubled
      USING (alert_id, host_id)
    WINDOW same_alert AS (
      PARTITION BY alerts.alert_id, alerts.host_id
      ORDER BY alerts.received_at, alerts.tableoid, alerts.ctid
    )
  ),
  copies AS (
    SELECT
      partition,
      place,
      is_same
    FROM ranked
    WHERE position > 1
  )`
}

/**
 * Removes rows from a table. What says something else than the row that stays becomes a dead letter, in the same statement: a row
 * is never gone without being one.
 * @param copies ends with a query `copies`: partition, place and whether the content is that of the row that stays.
 */
export function removeCopiesFrom(table: string, copies: string): string {
  return `${copies},
  removed AS (
    DELETE FROM ${table} AS alerts
    USING copies
    WHERE alerts.tableoid = copies.partition
      AND alerts.ctid = copies.place
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
      format('alert %s of host %s was stored twice, with other content', alert_id, host_id)
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
