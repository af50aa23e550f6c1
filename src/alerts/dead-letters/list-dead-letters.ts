import type { DeadLetter } from '../../model/dead-letter.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { selectTimestamp, timestampFromRow } from '../../pg/row-values.ts'
import { parseDeadLetterFilter } from './dead-letter-filter.ts'

const DEFAULT_LIMIT = 100

interface DeadLetterRow {
  readonly dead_letter_id: string
  readonly alert_json: string
  readonly alert_id: string | null
  readonly host_id: string | null
  readonly reason: string
  readonly message: string
  readonly sql_state: string | null
  readonly column_name: string | null
  readonly attempts: number
  readonly first_attempt_at: string
  readonly last_attempt_at: string
}

/** The bytes are ours and UTF-8; as hexadecimal digits they come through whatever the setting bytea_output is. */
const DEAD_LETTER_COLUMNS = `
    dead_letter_id,
    encode(alert_json, 'hex') AS alert_json,
    alert_id,
    host_id,
    reason,
    message,
    sql_state,
    column_name,
    attempts,
    ${selectTimestamp('first_attempt_at')},
    ${selectTimestamp('last_attempt_at')}`

/** The dead letters that fit a filter, oldest first. */
export async function listDeadLetters(db: QueryRunner, filter: unknown): Promise<readonly DeadLetter[]> {
  const condition = parseDeadLetterFilter(filter, DEFAULT_LIMIT)
  const { rows } = await db.query<DeadLetterRow>(
    `
  SELECT ${DEAD_LETTER_COLUMNS}
  FROM alert_dead_letters
  ${condition.sql}`,
    condition.values,
  )
  return rows.map(deadLetterFromRow)
}

function deadLetterFromRow(row: DeadLetterRow): DeadLetter {
  return {
    deadLetterId: row.dead_letter_id,
    alertJson: Buffer.from(row.alert_json, 'hex').toString('utf8'),
    alertId: row.alert_id,
    hostId: row.host_id,
    reason: row.reason,
    message: row.message,
    sqlState: row.sql_state,
    column: row.column_name,
    attempts: row.attempts,
    firstAttemptAt: timestampFromRow(row.first_attempt_at),
    lastAttemptAt: timestampFromRow(row.last_attempt_at),
  }
}
