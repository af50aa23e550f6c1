import { InvalidInputError } from '../errors.ts'
import { type AlertPage, SEVERITY_LEVELS } from '../model/alert.ts'
import { parseInteger, parseObject, parseOneOf, parseOptional, parseUuid } from '../model/input.ts'
import { parseTimestamp } from '../model/timestamp.ts'
import type { QueryRunner, SqlValue } from '../pg/database.ts'
import { ALERT_COLUMNS, type AlertRow, alertFromRow } from './alert-row.ts'

/** How many alerts a page holds when the query does not say. */
export const DEFAULT_PAGE_SIZE = 100
export const LARGEST_PAGE_SIZE = 10_000
const LARGEST_OFFSET = Number.MAX_SAFE_INTEGER

/**
 * Reads a page of alerts, newest first. Only the partitions of the months between `from` and `to` are touched.
 * @throws InvalidInputError
 */
export async function queryAlerts(db: QueryRunner, query: unknown): Promise<AlertPage> {
  const { sql, values } = planAlertQuery(query)
  const { rows } = await db.query<AlertRow>(sql, values)
  return { alerts: rows.map(alertFromRow) }
}

/** The statement of a query and its parameters. */
export function planAlertQuery(query: unknown): {
  readonly sql: string
  readonly values: readonly SqlValue[]
} {
  const given = parseObject('query', query, ['from', 'to', 'hostId', 'severity', 'limit', 'offset'])
  const from = parseTimestamp('query.from', given.from)
  const to = parseTimestamp('query.to', given.to)
  if (to < from) throw new InvalidInputError('query.to', given.to, `a moment not before query.from (${from})`)
  const limit = parseInteger('query.limit', given.limit ?? DEFAULT_PAGE_SIZE, 1, LARGEST_PAGE_SIZE)
  const offset = parseInteger('query.offset', given.offset ?? 0, 0, LARGEST_OFFSET)
  const hostId = parseOptional(given.hostId, id => parseUuid('query.hostId', id))
  const severity = parseOptional(given.severity, level =>
    parseOneOf('query.severity', level, SEVERITY_LEVELS),
  )

  const values: SqlValue[] = [from, to, limit, offset]
  const conditions = ['received_at >= $1', 'received_at < $2']
  if (hostId !== null) conditions.push(`host_id = $${values.push(hostId)}`)
  // A literal, of a closed list, lets the planner use the partial index of a rare severity in every kind of plan.
  if (severity !== null) conditions.push(`severity = '${severity}'`)

  const sql = `
  SELECT ${ALERT_COLUMNS}
  FROM alerts
  WHERE ${conditions.join('\n    AND ')}
  ORDER BY alerts.received_at DESC, alerts.alert_id DESC
  LIMIT $3
  OFFSET $4`
  return { sql, values }
}
