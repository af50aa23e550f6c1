import { DatabaseError, isRetryable } from '../errors.ts'
import type { QueryRunner } from '../pg/database.ts'

const ENSURE_PARTITION = `
  SELECT ensure_alert_partition(coalesce($1::timestamptz, now())) AS made`

/**
 * Makes sure that a month's partition is there and complete, for a writer that begins with it. Where that cannot be done (a
 * role that may not, a moment that no partition is made for, a detached table in the way), an alert of that month is
 * refused when it is written, and no other.
 */
export async function prepareMonth(db: QueryRunner, moment: string | null): Promise<void> {
  try {
    await ensurePartition(db, moment)
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState === undefined || isRetryable(error)) throw error
  }
}

/**
 * Makes the partition of the month that a moment falls into; `null` is the server's now.
 * @returns its name when this call made it, `null` when it was there.
 */
export async function ensurePartition(db: QueryRunner, moment: string | null): Promise<string | null> {
  const { rows } = await db.query<{ made: string | null }>(ENSURE_PARTITION, [moment])
  return rows[0]?.made ?? null
}
