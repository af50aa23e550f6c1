import { TripwireStorageError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'

const OPEN_RETIREMENT = `
  INSERT INTO alert_partition_retirements (partition_name, range_from, range_to)
  VALUES ($1, $2, $3)
  ON CONFLICT (partition_name) WHERE dropped_at IS NULL AND cancelled_at IS NULL DO NOTHING`

/** Writes down that a month is on its way out, before it is detached. Writing it down again does nothing: false. */
export async function openRetirement(
  db: QueryRunner,
  month: { readonly partition: string; readonly from: string; readonly to: string },
): Promise<boolean> {
  const { rowCount } = await db.query(OPEN_RETIREMENT, [month.partition, month.from, month.to])
  return rowCount > 0
}

const CANCEL_RETIREMENTS = `
  UPDATE alert_partition_retirements
  SET cancelled_at = now()
  WHERE dropped_at IS NULL
    AND cancelled_at IS NULL
    AND (
      to_regclass(quote_ident(partition_name)) IS NULL
      OR EXISTS (
        SELECT
        FROM pg_inherits
        WHERE inhrelid = to_regclass(quote_ident(partition_name))
          AND NOT inhdetachpending
      )
    )`

/** Closes the rows of months that are partitions still or again, and of tables that somebody dropped. */
export async function cancelRetirements(db: QueryRunner): Promise<void> {
  await db.query(CANCEL_RETIREMENTS)
}

const CLOSE_RETIREMENT = `
  UPDATE alert_partition_retirements
  SET
    archive_file = $2,
    archive_rows = $3,
    content_sha256 = decode($4, 'hex'),
    dropped_at = now()
  WHERE partition_name = $1
    AND dropped_at IS NULL
    AND cancelled_at IS NULL`

const FORGET_RESTORED = `
  DELETE FROM restored_alert_partitions
  WHERE partition_name = $1`

/**
 * Records the drop of a month, in the transaction that drops it.
 * @throws TripwireStorageError when there is no row to close: then the table was not ours to drop.
 */
export async function closeRetirement(
  transaction: QueryRunner,
  partition: string,
  archive: { readonly file: string; readonly rows: number; readonly contentSha256: string },
): Promise<void> {
  const { file, rows, contentSha256 } = archive
  const closed = await transaction.query(CLOSE_RETIREMENT, [partition, file, rows, contentSha256])
  if (closed.rowCount !== 1) {
    throw new TripwireStorageError('QUERY_FAILED', `${partition} is not on its way out, so it is not dropped`)
  }
  await transaction.query(FORGET_RESTORED, [partition])
}
