import type { QueryRunner } from '../../pg/database.ts'
import { parseDeadLetterFilter } from './dead-letter-filter.ts'

const DEFAULT_LIMIT = 10_000

/** Deletes the dead letters that fit a filter. @returns how many. */
export async function discardDeadLetters(db: QueryRunner, filter: unknown): Promise<number> {
  const condition = parseDeadLetterFilter(filter, DEFAULT_LIMIT)
  const { rowCount } = await db.query(
    `
  DELETE FROM alert_dead_letters
  WHERE dead_letter_id IN (
    SELECT dead_letter_id
    FROM alert_dead_letters
    ${condition.sql}
  )`,
    condition.values,
  )
  return rowCount
}

const DELETE_DEAD_LETTERS = `
  DELETE FROM alert_dead_letters
  WHERE dead_letter_id = ANY ($1::uuid[])`

export async function deleteDeadLetters(db: QueryRunner, deadLetterIds: readonly string[]): Promise<void> {
  if (deadLetterIds.length > 0) await db.query(DELETE_DEAD_LETTERS, [deadLetterIds])
}
