import { createIndexSql } from '../pg/build-index.ts'
import type { QueryRunner } from '../pg/database.ts'
import { LOCK_TIMEOUT_MS } from '../pg/retry-lock.ts'
import { setDefaults } from './adopt-tables.ts'
import { planAlertIndexes } from './alert-indexes.ts'
import type { Migration } from './migration-files.ts'
import { CREATE_VERSION_TABLE, checkHistory, readSchemaVersion, VERSION_TABLE } from './schema-version.ts'
import { type AdoptableTables, findUnrecordedTables, requireFittingTables } from './unrecorded-tables.ts'
import { wantedAlertIndexes } from './wanted-alert-indexes.ts'

/** The version from which on there is a table of alerts. */
const ALERTS_VERSION = 2

/**
 * The SQL that would bring the database up now, statement by statement, without running it.
 * @throws TripwireStorageError MIGRATION_DIRTY or MIGRATION_HISTORY, as running it would.
 */
export async function planMigrations(
  db: QueryRunner,
  migrations: readonly Migration[],
  steps: number,
): Promise<string> {
  const found = await readSchemaVersion(db)
  checkHistory(found, migrations.length)
  const unrecorded = found.version === 0 ? await findUnrecordedTables(db, migrations) : undefined
  if (unrecorded) requireFittingTables(unrecorded)
  const version = unrecorded?.version ?? found.version
  const planned = migrations.slice(version, version + steps)
  const sql = unrecorded ? [planAdoption(unrecorded)] : []
  for (const migration of planned) {
    if (version >= ALERTS_VERSION) sql.push(...(await planIndexes(db, migration)))
    sql.push(planOneMigration(migration))
  }
  if (found.version === 0 && sql.length > 0) sql.unshift(`${CREATE_VERSION_TABLE.trim()};\n`)
  return sql.join('\n')
}

function planAdoption(tables: AdoptableTables): string {
  const names = tables.migrations.map(({ version, name }) => `${version} ${name}`)
  return transactionOf(
    `takes over what stands there as: ${names.join(', ')}`,
    setDefaults(tables)
      .map(statement => `${statement};\n`)
      .join(''),
    tables.version,
  )
}

function planOneMigration({ version, name, upSql }: Migration): string {
  return transactionOf(`${version} ${name}`, upSql, version)
}

function transactionOf(title: string, sql: string, version: number): string {
  return `-- ${title}
BEGIN;
SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS};

${sql.trimEnd()}

DELETE FROM ${VERSION_TABLE};
INSERT INTO ${VERSION_TABLE} (version, dirty) VALUES (${version}, false);
COMMIT;
`
}

async function planIndexes(db: QueryRunner, { name }: Migration): Promise<readonly string[]> {
  const wanted = wantedAlertIndexes(name)
  if (wanted.length === 0) return []
  const indexes = await planAlertIndexes(db, wanted)
  if (indexes.length === 0) return []
  const statements = indexes.map(({ index }) => `${createIndexSql(index)};\n`)
  return [
    `-- indexes for ${name}, while writers go on: each a statement of its own, outside of a transaction`,
    statements.join(''),
  ]
}
