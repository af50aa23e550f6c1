import { TripwireStorageError } from '../errors.ts'
import type { QueryRunner } from '../pg/database.ts'
import { integerFromRow } from '../pg/row-values.ts'

/** golang-migrate's table. */
export const VERSION_TABLE = 'schema_migrations'

export interface SchemaVersion {
  /** 0 when nothing was applied. */
  readonly version: number
  /** Whether golang-migrate stopped half way. Ours cannot: the mark is part of the migration's transaction. */
  readonly dirty: boolean
}

const READ_VERSION = `
  SELECT version, dirty
  FROM ${VERSION_TABLE}
  ORDER BY version DESC
  LIMIT 1`

export const CREATE_VERSION_TABLE = `
  CREATE TABLE IF NOT EXISTS ${VERSION_TABLE} (
    version BIGINT  NOT NULL,
    dirty   BOOLEAN NOT NULL,
    PRIMARY KEY (version)
  )`

const TABLE_EXISTS = `
  SELECT to_regclass($1) IS NOT NULL AS present`

/** What the database says of itself. A database without the table is at version 0. */
export async function readSchemaVersion(db: QueryRunner): Promise<SchemaVersion> {
  const table = await db.query<{ present: boolean }>(TABLE_EXISTS, [VERSION_TABLE])
  if (!table.rows[0]?.present) return { version: 0, dirty: false }
  const row = (await db.query<{ version: string; dirty: boolean }>(READ_VERSION)).rows[0]
  return row
    ? { version: integerFromRow('version', row.version), dirty: row.dirty }
    : { version: 0, dirty: false }
}

/** Makes the table when it is absent. The caller holds the migration lock. */
export async function createVersionTable(db: QueryRunner): Promise<void> {
  await db.runScript(CREATE_VERSION_TABLE)
}

/** Records a version, as golang-migrate does: one row, or none for version 0. */
export async function writeSchemaVersion(db: QueryRunner, version: number): Promise<void> {
  await db.runScript(`DELETE FROM ${VERSION_TABLE}`)
  if (version > 0)
    await db.query(`INSERT INTO ${VERSION_TABLE} (version, dirty) VALUES ($1, false)`, [version])
}

/**
 * Refuses a version that migrations cannot be applied to.
 * @throws TripwireStorageError MIGRATION_DIRTY or MIGRATION_HISTORY.
 */
export function checkHistory(found: SchemaVersion, newestKnown: number): void {
  if (found.dirty) {
    throw new TripwireStorageError(
      'MIGRATION_DIRTY',
      `version ${found.version} is marked dirty: it stopped half way`,
      {
        hint: `look at what it did, undo or finish it by hand, then run: migrate force VERSION (golang-migrate), or UPDATE ${VERSION_TABLE} SET dirty = false`,
      },
    )
  }
  if (found.version > newestKnown) {
    throw new TripwireStorageError(
      'MIGRATION_HISTORY',
      `the database is at version ${found.version}, the newest migration here is ${newestKnown}`,
      { hint: 'use the version of tripwire-storage that migrated this database' },
    )
  }
}
