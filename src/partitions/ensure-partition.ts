import { DatabaseError } from '../errors.ts'
import type { QueryRunner } from '../pg/database.ts'
import { SQLSTATE } from '../pg/sqlstate.ts'

const ENSURE_PARTITION = `
  SELECT ensure_alert_partition(coalesce($1::timestamptz, now())) AS made`

/**
 * Makes sure that the current month's partition is there and complete, for a writer that begins with it. A role that may
 * not do so relies on whoever makes the partitions.
 */
export async function ensureCurrentPartition(db: QueryRunner): Promise<void> {
  try {
    await ensurePartition(db, null)
  } catch (error) {
    if (!(error instanceof DatabaseError && error.sqlState === SQLSTATE.insufficientPrivilege)) throw error
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
