/**
 * One alert as one line of JSON, made and read by PostgreSQL: the members and the form of `alerts --json`, which `ingest`
 * reads. SQL NULL leaves `eventDetail` out, JSON null writes `null`.
 */

/**
 * The line of a row, without its line feed; NULL where a column that must not be empty is. It depends on no setting of the
 * session: JSON dates are ISO 8601 in any DateStyle, and the zone is named.
 */
export const ALERT_LINE = `
      '{"alertId":"' || alert_id
      || '","hostId":"' || host_id
      || '","timestamp":' || ${timestampJson('timestamp')}
      || ',"tripwireType":' || to_json(tripwire_type::text)
      || ',"ruleName":' || to_json(rule_name)
      || coalesce(',"eventDetail":' || event_detail::text, '')
      || ',"severity":' || to_json(severity::text)
      || ',"receivedAt":' || ${timestampJson('received_at')}
      || '}'`

/** RFC 3339 in UTC with microseconds. `infinity` and the years before 1 have no such form: as PostgreSQL writes them. */
function timestampJson(column: string): string {
  return `CASE
        WHEN isfinite(${column}) AND ${column} >= '0001-01-01 00:00:00+00'
        THEN '"' || to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'
        ELSE to_json(${column} AT TIME ZONE 'UTC')::text
      END`
}

/**
 * The rows of lines that are joined by line feeds ($1), into a table. Needs UTC and ISO as the settings of the
 * transaction, for the years before 1. One text and no array: its quotes would be escaped for nothing.
 *
 * OFFSET 0: without it, each line would be parsed again for each column.
 */
export function insertLines(table: string): string {
  return `
  INSERT INTO ${table} (
    alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at
  )
  SELECT
    (line ->> 'alertId')::uuid,
    (line ->> 'hostId')::uuid,
    (line ->> 'timestamp')::timestamptz,
    (line ->> 'tripwireType')::tripwire_type,
    line ->> 'ruleName',
    line -> 'eventDetail',
    (line ->> 'severity')::severity_level,
    (line ->> 'receivedAt')::timestamptz
  FROM string_to_table($1, E'\\n') AS given (text)
  CROSS JOIN LATERAL (
    SELECT given.text::jsonb AS line
    OFFSET 0
  ) AS parsed`
}
