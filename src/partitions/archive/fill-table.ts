import { DatabaseError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { SQLSTATE_CLASS } from '../../pg/sqlstate.ts'
import { insertLines } from './alert-line.ts'
import { archiveMismatch } from './archive-errors.ts'
import { lineBatches } from './line-batches.ts'
import type { Archive } from './manifest.ts'
import { readContent } from './verify-archive.ts'

const BATCH_BYTES = 1_048_576

/** What the database says of a line that is no alert, or none of this month. */
const REFUSALS: ReadonlySet<string | undefined> = new Set([
  SQLSTATE_CLASS.dataException,
  SQLSTATE_CLASS.integrityConstraintViolation,
])

/**
 * Fills a new table with the alerts of an archive, in batches.
 * @throws TripwireStorageError ARCHIVE_MISMATCH when something in it is no alert of that month.
 */
export async function fillTable(
  transaction: QueryRunner,
  table: string,
  archive: Archive,
  {
    signal,
    onProgress,
  }: { readonly signal?: AbortSignal | undefined; readonly onProgress: (rows: number) => void },
): Promise<void> {
  const insert = insertLines(table)
  let rows = 0
  try {
    for await (const batch of lineBatches(readContent(archive, signal), BATCH_BYTES)) {
      // Without the line feed at its end, after which there is no line.
      const text = batch.toString('utf8', 0, batch.length - 1)
      const { rowCount } = await transaction.query(insert, [text])
      rows += rowCount
      onProgress(rows)
    }
  } catch (error) {
    if (!(error instanceof DatabaseError) || !REFUSALS.has(error.sqlState?.slice(0, 2))) throw error
    const { file, partition } = archive.manifest
    throw archiveMismatch(file, `alerts of ${partition}`, error.message, error)
  }
}
