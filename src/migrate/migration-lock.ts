import { crc32 } from 'node:zlib'
import { DatabaseError, TripwireStorageError } from '../errors.ts'
import type { QueryRunner } from '../pg/database.ts'
import { SQLSTATE } from '../pg/sqlstate.ts'
import { VERSION_TABLE } from './schema-version.ts'

/** golang-migrate's salt, `advisoryLockIDSalt` in database/util.go. */
const SALT = 1_486_364_155

const CURRENT_NAMES = `
  SELECT
    current_database() AS database,
    current_schema() AS schema`

/**
 * The key of golang-migrate's advisory lock: CRC-32 (IEEE) of schema NUL table NUL database, times the salt, modulo 2^32.
 * The same key keeps the two tools from migrating at once.
 */
export function migrationLockKey(schema: string, table: string, database: string): number {
  const checksum = crc32(`${schema}\0${table}\0${database}`)
  return Number((BigInt(checksum) * BigInt(SALT)) % 2n ** 32n)
}

/**
 * Takes the migration lock until the end of the transaction.
 * @throws TripwireStorageError MIGRATION_LOCKED when another holds it for longer than `lockTimeoutMs`, and
 *   NOT_MIGRATED when the search_path names no schema that exists.
 */
export async function takeMigrationLock(transaction: QueryRunner, lockTimeoutMs: number): Promise<void> {
  const names = (await transaction.query<{ database: string; schema: string | null }>(CURRENT_NAMES)).rows[0]
  if (!names?.schema) {
    throw new TripwireStorageError('NOT_MIGRATED', 'the search_path names no schema that exists', {
      hint: 'CREATE SCHEMA first, or mend search_path in the connection string',
    })
  }
  await transaction.query(`SELECT set_config('lock_timeout', $1, true)`, [String(lockTimeoutMs)])
  try {
    const key = migrationLockKey(names.schema, VERSION_TABLE, names.database)
    await transaction.query(`SELECT pg_advisory_xact_lock($1)`, [key])
  } catch (error) {
    if (error instanceof DatabaseError && error.sqlState === SQLSTATE.lockNotAvailable) {
      throw new TripwireStorageError(
        'MIGRATION_LOCKED',
        `another migration held the lock for ${lockTimeoutMs} ms`,
        {
          cause: error,
          hint: 'wait for it, or look for its session in pg_locks (locktype = advisory)',
        },
      )
    }
    throw error
  }
}
