import type { Alert } from '../../model/alert.ts'
import { parseOptional, parseUuid } from '../../model/input.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { ALERT_COLUMNS, type AlertRow, alertFromRow } from '../alert-row.ts'

/**
 * Through the unique index of each month. OFFSET 0 keeps the planner from walking through time instead, until it meets the alert.
 */
const GET_ALERT = `
  SELECT ${ALERT_COLUMNS}
  FROM (
    SELECT *
    FROM alerts
    WHERE alert_id = $1
    OFFSET 0
  ) AS alerts
  ORDER BY alerts.received_at DESC, alerts.host_id DESC
  LIMIT 1`

const GET_ALERT_OF_HOST = `
  SELECT ${ALERT_COLUMNS}
  FROM (
    SELECT *
    FROM alerts
    WHERE alert_id = $1
      AND host_id = $2
    OFFSET 0
  ) AS alerts
  ORDER BY alerts.received_at DESC
  LIMIT 1`

/**
 * The alert with this id, whatever its month; the one that was received last, where several hosts have one, or where it stands twice.
 * @throws InvalidInputError
 */
export async function getAlert(db: QueryRunner, alertId: unknown, hostId?: unknown): Promise<Alert | null> {
  const id = parseUuid('alertId', alertId)
  const host = parseOptional(hostId, value => parseUuid('options.hostId', value))
  const { rows } =
    host === null
      ? await db.query<AlertRow>(GET_ALERT, [id], { isRepeated: true })
      : await db.query<AlertRow>(GET_ALERT_OF_HOST, [id, host], { isRepeated: true })
  const [row] = rows
  return row ? alertFromRow(row) : null
}
