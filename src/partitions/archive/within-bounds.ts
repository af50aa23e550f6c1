import type { QueryRunner } from '../../pg/database.ts'
import { archiveFailed } from './archive-errors.ts'

/** By two looks and no OR, each of which the index of received_at answers. */
function findOutside(table: string): string {
  return `
  SELECT
    EXISTS (
      SELECT
      FROM ${table}
      WHERE received_at < $1::timestamptz
    )
    OR EXISTS (
      SELECT
      FROM ${table}
      WHERE received_at >= $2::timestamptz
    ) AS outside`
}

/**
 * An archive that holds an alert outside the month could not be restored.
 * @param name of the table as it stands in SQL.
 * @throws TripwireStorageError ARCHIVE_FAILED
 */
export async function requireWithinBounds(
  db: QueryRunner,
  name: string,
  { table, from, to }: { readonly table: string; readonly from: string; readonly to: string },
): Promise<void> {
  const { rows } = await db.query<{ outside: boolean }>(findOutside(name), [from, to])
  if (!rows[0]?.outside) return
  throw archiveFailed(
    `${table} holds alerts that were not received from ${from} to ${to}`,
    'move them into alerts: INSERT INTO alerts SELECT …, then DELETE',
  )
}
