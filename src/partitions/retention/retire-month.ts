import { recordAction, recordedTransaction } from '../../audit/record-action.ts'
import type { AlertPartition, RetiredMonth } from '../../model/partition.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { dropArchivedTable } from '../archive/drop-archived-table.ts'
import type { Archive } from '../archive/manifest.ts'
import { requireArchivable } from '../archive/require-archivable.ts'
import { writeArchive } from '../archive/write-archive.ts'
import { detachPartition } from './detach-partition.ts'
import { cancelRetirements, closeRetirement, openRetirement } from './retirements.ts'

export interface RetireOptions {
  readonly archiveDir: string | undefined
  /** Who is told by the audit log. */
  readonly actor: string | undefined
  readonly schemaVersion: number
  readonly signal: AbortSignal
}

export type MonthToRetire = Pick<AlertPartition, 'partition' | 'state'> & {
  readonly from: string
  readonly to: string
}

/**
 * Takes a month out: detach, archive, verify the archive against the table, drop. Cut off between any two of these and called
 * again, it continues. Without `archiveDir` it ends after the first.
 */
export async function retireMonth(
  db: Database,
  month: MonthToRetire,
  { archiveDir, actor, schemaVersion, signal }: RetireOptions,
): Promise<RetiredMonth> {
  const { partition, from, to } = month
  if (month.state === 'attached') {
    // Once it is detached, its alerts are in no query any more: only when there is a way on.
    if (archiveDir !== undefined) await requireArchivable(db, partition, archiveDir)
    await beginRetirement(db, month, actor)
    try {
      await detachPartition(db, partition, signal)
    } catch (error) {
      // Whoever detaches it by hand meanwhile wants to keep it. One that is pending stays on its way out.
      await cancelRetirements(db).catch(() => undefined)
      throw error
    }
  }
  if (archiveDir === undefined) {
    return { partition, from, to, outcome: 'detached', rows: null, manifest: null }
  }
  const archive = await writeArchive(db, { table: partition, from, to, archiveDir, schemaVersion, signal })
  const { manifest, manifestPath } = archive
  await db.transaction(async transaction => {
    await dropArchivedTable(transaction, archive, partition, signal)
    await closeRetirement(transaction, partition, manifest)
    if (actor !== undefined) await recordDrop(transaction, actor, archive)
  })
  return { partition, from, to, outcome: 'dropped', rows: manifest.rows, manifest: manifestPath }
}

async function beginRetirement(
  db: Database,
  month: { readonly partition: string; readonly from: string; readonly to: string },
  actor: string | undefined,
): Promise<void> {
  if (actor === undefined) return void (await openRetirement(db, month))
  const { partition, from, to } = month
  await recordedTransaction(db, async transaction => {
    // What was cut off and goes on was told at its beginning.
    if (!(await openRetirement(transaction, month))) return
    await recordAction(transaction, [null], { action: 'retire-month', actor, partition, from, to })
  })
}

async function recordDrop(
  transaction: QueryRunner,
  actor: string,
  { manifest, manifestPath }: Archive,
): Promise<void> {
  const { partition, from, to, rows, contentSha256, fileSha256 } = manifest
  const archive = { manifest: manifestPath, rows, contentSha256, fileSha256 }
  await recordAction(transaction, [null], { action: 'drop-month', actor, partition, from, to, archive })
}
