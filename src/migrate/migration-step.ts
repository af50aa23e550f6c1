import { TripwireStorageError } from '../errors.ts'
import type { Database, QueryRunner } from '../pg/database.ts'
import { adoptTables } from './adopt-tables.ts'
import { buildAlertIndexes, planAlertIndexes } from './alert-indexes.ts'
import type { Migration } from './migration-files.ts'
import { isTableLockConflict } from './migration-lock.ts'
import { checkHistory, createVersionTable, readSchemaVersion, writeSchemaVersion } from './schema-version.ts'
import { wantedAlertIndexes } from './wanted-alert-indexes.ts'

/** What one transaction recorded, or took out of the record. */
export interface MigrationStep {
  readonly migrations: readonly Migration[]
  readonly wasAdopted: boolean
  readonly warnings: readonly string[]
}

const LOCK_HINT =
  'a session holds a table that is to be changed; find it: SELECT pid, xact_start, state, query FROM pg_stat_activity ' +
  'WHERE xact_start IS NOT NULL ORDER BY xact_start; let it end, or end it with pg_terminate_backend(pid), and run this again'

const TELL_MONTHS_WITH_DUPLICATES = `
  SELECT set_config('tripwire.months_with_duplicates', $1, true)`

/**
 * Takes over what stands there without a record, or else applies the next migration. The caller holds the migration lock.
 * @param db another connection than that of the transaction, for what cannot run in one.
 * @returns `undefined` when there is nothing left to do.
 */
export async function stepUp(
  db: Database,
  transaction: QueryRunner,
  migrations: readonly Migration[],
): Promise<MigrationStep | undefined> {
  await createVersionTable(transaction)
  const found = await readSchemaVersion(transaction)
  checkHistory(found, migrations.length)
  if (found.version === 0) {
    const adopted = await adoptTables(transaction, migrations)
    if (adopted.length > 0) return { migrations: adopted, wasAdopted: true, warnings: [] }
  }
  const next = migrations[found.version]
  if (!next) return undefined
  return orFailed('up', next, async () => {
    const warnings = await prepareAlertIndexes(db, transaction, next)
    await transaction.runScript(next.upSql)
    await writeSchemaVersion(transaction, next.version)
    return { migrations: [next], wasAdopted: false, warnings }
  })
}

/** Undoes the newest migration. The caller holds the migration lock. */
export async function stepDown(
  transaction: QueryRunner,
  migrations: readonly Migration[],
): Promise<MigrationStep | undefined> {
  await createVersionTable(transaction)
  const found = await readSchemaVersion(transaction)
  checkHistory(found, migrations.length)
  const newest = migrations[found.version - 1]
  if (!newest) return undefined
  return orFailed('down', newest, async () => {
    await transaction.runScript(newest.downSql)
    await writeSchemaVersion(transaction, newest.version - 1)
    return { migrations: [newest], wasAdopted: false, warnings: [] }
  })
}

/**
 * The long part, beside the transaction: it holds the migration lock, but no snapshot and no lock on a table, so CREATE INDEX
 * CONCURRENTLY does not wait for it.
 */
async function prepareAlertIndexes(
  db: Database,
  transaction: QueryRunner,
  { name }: Migration,
): Promise<readonly string[]> {
  const wanted = wantedAlertIndexes(name)
  if (wanted.length === 0) return []
  const withDuplicates = await buildAlertIndexes(db, await planAlertIndexes(transaction, wanted))
  await transaction.query(TELL_MONTHS_WITH_DUPLICATES, [withDuplicates.map(({ id }) => id).join(',')])
  return withDuplicates.map(
    ({ table }) =>
      `${table} holds alerts twice, so it has no unique index and does not refuse resends; mend it with: tripwire-storage partitions mend --remove-duplicates`,
  )
}

async function orFailed(
  direction: 'up' | 'down',
  { version, name }: Migration,
  work: () => Promise<MigrationStep>,
): Promise<MigrationStep> {
  try {
    return await work()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const hint = cause instanceof TripwireStorageError ? cause.hint : undefined
    throw new TripwireStorageError('MIGRATION_FAILED', `${direction} ${version} (${name}): ${reason}`, {
      cause,
      hint: isTableLockConflict(cause) ? LOCK_HINT : hint,
    })
  }
}
