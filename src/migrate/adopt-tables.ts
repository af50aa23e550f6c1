import type { QueryRunner } from '../pg/database.ts'
import type { Migration } from './migration-files.ts'
import { writeSchemaVersion } from './schema-version.ts'
import { type AdoptableTables, findUnrecordedTables, requireFittingTables } from './unrecorded-tables.ts'

/**
 * Takes over tables that no migration is recorded of: gives their columns the defaults that ours have, and records the
 * version. Their constraints get their names by migration 005. The caller holds the migration lock.
 * @returns the migrations that count as applied now; empty when there are no such tables.
 * @throws TripwireStorageError MIGRATION_HISTORY when they do not fit; nothing is changed then.
 */
export async function adoptTables(
  transaction: QueryRunner,
  migrations: readonly Migration[],
): Promise<readonly Migration[]> {
  const tables = await findUnrecordedTables(transaction, migrations)
  if (!tables) return []
  requireFittingTables(tables)
  for (const statement of setDefaults(tables)) await transaction.runScript(statement)
  await writeSchemaVersion(transaction, tables.version)
  return tables.migrations
}

/** The names are ours, and none needs quotes. */
export function setDefaults({ missingDefaults }: AdoptableTables): readonly string[] {
  return missingDefaults.map(
    ({ table, column, defaultSql }) =>
      `ALTER TABLE ${table} ALTER COLUMN ${column} SET DEFAULT ${defaultSql}`,
  )
}
