import { dirname, join } from 'node:path'
import { InvalidInputError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { withAbortReason } from './abort-reason.ts'
import { archiveMismatch, requireSameContent } from './archive-errors.ts'
import { syncFile, syncNames } from './archive-folder.ts'
import { LOCK_ATTEMPTS, lockDetachedTable } from './detached-table.ts'
import { type Archive, manifestText } from './manifest.ts'
import { PAUSE_SHARE } from './pace.ts'
import { retryStatement } from './retry-statement.ts'
import { digestTable } from './table-lines.ts'
import { prepareTransaction } from './transaction-settings.ts'
import { readArchive, verifyArchive } from './verify-archive.ts'

/**
 * Drops a detached table whose alerts are all in an archive, as the first thing that a transaction does. The caller records it
 * in the same transaction, and commits.
 *
 * The table is locked against writers, the archive read back from the disk, the table read again, and all three must agree.
 * @param table its name in the catalogue.
 * @throws TripwireStorageError ARCHIVE_MISMATCH when they do not, such as after somebody wrote into the table: the next
 *   `writeArchive` makes another archive. ARCHIVE_FAILED when the table is a partition, or the archive cannot be read.
 *   DatabaseError, with SQLSTATE 55P03 when the table is in use. The reason of the signal. Nothing is dropped then.
 */
export async function dropArchivedTable(
  transaction: QueryRunner,
  archive: Archive,
  table: string,
  signal?: AbortSignal,
): Promise<void> {
  await withAbortReason(signal, async () => {
    await prepareTransaction(transaction)
    const name = await lockDetachedTable(transaction, table, signal)
    await requireWhole(archive, signal)
    const found = await digestTable(transaction, name, { signal, pauseShare: PAUSE_SHARE })
    requireSameContent(table, archive.manifest, found)
    await retryStatement(transaction, `DROP TABLE ${name}`, LOCK_ATTEMPTS, signal)
  })
}

/** The archive may be that of a run that was cut before it was durable, and somebody may have been at the files since. */
async function requireWhole(archive: Archive, signal: AbortSignal | undefined): Promise<void> {
  const { manifestPath, manifest } = archive
  const found = await readArchive(manifestPath).catch((error: unknown) => {
    if (!(error instanceof InvalidInputError)) throw error
    throw archiveMismatch(manifestPath, 'a manifest', 'none', error)
  })
  if (manifestText(found.manifest) !== manifestText(manifest)) {
    throw archiveMismatch(manifestPath, 'the manifest that was written', 'another one')
  }
  await verifyArchive(archive, signal, PAUSE_SHARE)
  const folder = dirname(manifestPath)
  await syncFile(join(folder, manifest.file))
  await syncFile(manifestPath)
  await syncNames(folder)
}
