import { DatabaseError } from '../errors.ts'
import type { QueryRunner } from '../pg/database.ts'
import { SQLSTATE } from '../pg/sqlstate.ts'

const ENSURE_PARTITION = `
  SELECT ensure_alert_partition(coalesce($1::timestamptz, now())) AS made`

/**
 * Makes sure that a month's partition is there and complete, for a writer that begins with it. A role that may not do so
 * relies on whoever makes the partitions; and a moment that no partition is made for is refused when it is written.
 */
export async function prepareMonth(db: QueryRunner, moment: string | null): Promise<void> {
  try {
    await ensurePartition(db, moment)
  } catch (error) {
    if (!(error instanceof DatabaseError) || !ACCEPTED_STATES.has(error.sqlState)) throw error
  }
}

const ACCEPTED_STATES: ReadonlySet<string | undefined> = new Set([
  SQLSTATE.insufficientPrivilege,
  SQLSTATE.datetimeFieldOverflow,
])

/**
 * Makes the partition of the month that a moment falls into; `null` is the server's now.
 * @returns its name when this call made it, `null` when it was there.
 */
export async function ensurePartition(db: QueryRunner, moment: string | null): Promise<string | null> {
  const { rows } = await db.query<{ made: string | null }>(ENSURE_PARTITION, [moment])
  return rows[0]?.made ?? null
}
