import type { QueryRunner } from '../pg/database.ts'

const ENSURE_PARTITION = `
  SELECT ensure_alert_partition(coalesce($1::timestamptz, now())) AS made`

/**
 * Makes the partition of the month that a moment falls into; `null` is the server's now.
 * @returns its name when this call made it, `null` when it was there.
 */
export async function ensurePartition(db: QueryRunner, moment: string | null): Promise<string | null> {
  const { rows } = await db.query<{ made: string | null }>(ENSURE_PARTITION, [moment])
  return rows[0]?.made ?? null
}
