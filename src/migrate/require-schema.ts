import { DatabaseError, TripwireStorageError } from '../errors.ts'
import type { QueryRunner } from '../pg/database.ts'
import { integerFromRow } from '../pg/row-values.ts'
import { SQLSTATE } from '../pg/sqlstate.ts'
import { readMigrations } from './migration-files.ts'
import { checkHistory, readSchemaVersion } from './schema-version.ts'

const BREAKING_VERSION = `
  SELECT breaking_version AS "breakingVersion"
  FROM schema_compatibility`

/**
 * Refuses a database that this version of the library cannot work on: not migrated far enough, half migrated, or
 * migrated by a newer version that broke with this one. A newer schema that is compatible is accepted.
 * @returns the version that the database is at.
 * @throws TripwireStorageError NOT_MIGRATED, MIGRATION_DIRTY or SCHEMA_TOO_NEW.
 */
export async function requireSchema(db: QueryRunner): Promise<number> {
  const needed = (await readMigrations()).length
  const found = await readSchemaVersion(db)
  checkHistory({ ...found, version: Math.min(found.version, needed) }, needed)
  if (found.version < needed) {
    throw new TripwireStorageError(
      'NOT_MIGRATED',
      found.version === 0
        ? 'no migration is recorded in the database'
        : `the database is at version ${found.version}, and this version of tripwire-storage needs ${needed}`,
      { hint: 'run: tripwire-storage migrate up' },
    )
  }
  const breakingVersion = await readBreakingVersion(db)
  if (breakingVersion > needed) {
    throw new TripwireStorageError(
      'SCHEMA_TOO_NEW',
      `the database is at version ${found.version}, incompatible since ${breakingVersion}; this version of tripwire-storage knows ${needed}`,
      {
        hint: 'update tripwire-storage, or undo the newer migrations with the newer version: tripwire-storage migrate down N',
      },
    )
  }
  return found.version
}

async function readBreakingVersion(db: QueryRunner): Promise<number> {
  try {
    const row = (await db.query<{ breakingVersion: string }>(BREAKING_VERSION)).rows[0]
    if (row) return integerFromRow('breaking_version', row.breakingVersion)
  } catch (error) {
    if (!(error instanceof DatabaseError && error.sqlState === SQLSTATE.undefinedTable)) throw error
  }
  throw new TripwireStorageError(
    'NOT_MIGRATED',
    'the recorded version does not fit the tables: schema_compatibility is absent',
    {
      hint: 'the search_path may name another schema; see: tripwire-storage migrate status',
    },
  )
}
