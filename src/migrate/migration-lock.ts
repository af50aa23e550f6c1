import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { DatabaseError, TripwireStorageError } from '../errors.ts'
import type { Database, QueryRunner } from '../pg/database.ts'
import { LOCK_TIMEOUT_MS } from '../pg/retry-lock.ts'
import { SQLSTATE } from '../pg/sqlstate.ts'
import { LIFT_IDLE_LIMITS } from '../pg/time-limits.ts'
import { VERSION_TABLE } from './schema-version.ts'

/** golang-migrate's salt, `advisoryLockIDSalt` in database/util.go. */
const SALT = 1_486_364_155

/** Between two tries for the migration lock, on average. */
const POLL_MS = 100

/** Between two tries for a table, so that the writers who waited behind the first get on: as long as it was, up to three times that. */
const SHORTEST_PAUSE_MS = LOCK_TIMEOUT_MS
const LONGEST_PAUSE_MS = 3 * LOCK_TIMEOUT_MS

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

/** While indexes are built on another connection this transaction is idle, for hours perhaps; transaction_timeout came with 17. */
const TRY_LOCK = `
  SELECT pg_try_advisory_xact_lock($1) AS taken`

const SET_LOCK_TIMEOUT = `
  SELECT set_config('lock_timeout', $1, true)`

/**
 * Runs `work` in a transaction that holds the migration lock. A statement of it waits for a lock on a table for
 * `LOCK_TIMEOUT_MS` at the most, because everybody who comes after it waits behind it. When one was not to be had, the
 * transaction is rolled back and tried again after a pause of random length, until `lockTimeoutMs` is over.
 *
 * The migration lock itself is tried for again and again, and no statement waits for it: through a pooler, those who wait would
 * keep the connections that its holder needs to build indexes.
 * @throws TripwireStorageError MIGRATION_LOCKED, NOT_MIGRATED, and what `work` throws.
 */
export async function withMigrationLock<T>(
  db: Database,
  lockTimeoutMs: number,
  work: (transaction: QueryRunner) => Promise<T>,
): Promise<T> {
  let giveUpAt = performance.now() + lockTimeoutMs
  let tablesGiveUpAt: number | undefined
  for (;;) {
    try {
      const done = await db.transaction(async transaction => {
        if (!(await tryMigrationLock(transaction))) return undefined
        await transaction.query(LIFT_IDLE_LIMITS)
        await transaction.query(SET_LOCK_TIMEOUT, [String(Math.min(LOCK_TIMEOUT_MS, lockTimeoutMs))])
        return { result: await work(transaction) }
      })
      if (done) return done.result
    } catch (error) {
      const pauseMs = SHORTEST_PAUSE_MS + Math.random() * (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS)
      // Counted from the first conflict: building indexes, or waiting for another migration, may have taken hours before.
      tablesGiveUpAt ??= performance.now() + lockTimeoutMs
      if (!isTableLockConflict(error) || performance.now() + pauseMs > tablesGiveUpAt) throw error
      await sleep(pauseMs)
      giveUpAt = performance.now() + lockTimeoutMs
      continue
    }
    const leftMs = giveUpAt - performance.now()
    if (leftMs <= 0) throw migrationLocked(lockTimeoutMs)
    await sleep(Math.min(POLL_MS * (0.5 + Math.random()), leftMs))
  }
}

function migrationLocked(lockTimeoutMs: number): TripwireStorageError {
  return new TripwireStorageError(
    'MIGRATION_LOCKED',
    `another migration held the lock for ${lockTimeoutMs} ms`,
    { hint: 'wait for it, or look for its session in pg_locks (locktype = advisory)' },
  )
}

/** Whether a statement of a migration could not get the lock of a table; the migration lock itself is another matter. */
export function isTableLockConflict(error: unknown): boolean {
  if (error instanceof DatabaseError) {
    return error.sqlState === SQLSTATE.lockNotAvailable || error.sqlState === SQLSTATE.deadlockDetected
  }
  return (
    error instanceof TripwireStorageError &&
    error.code === 'MIGRATION_FAILED' &&
    isTableLockConflict(error.cause)
  )
}

/**
 * Takes the migration lock until the end of the transaction. Returns `false` when another has it.
 * @throws TripwireStorageError NOT_MIGRATED when the search_path names no schema that exists.
 */
async function tryMigrationLock(transaction: QueryRunner): Promise<boolean> {
  const names = (await transaction.query<{ database: string; schema: string | null }>(CURRENT_NAMES)).rows[0]
  if (!names?.schema) {
    throw new TripwireStorageError('NOT_MIGRATED', 'the search_path names no schema that exists', {
      hint: 'CREATE SCHEMA first, or mend search_path in the connection string',
    })
  }
  const key = migrationLockKey(names.schema, VERSION_TABLE, names.database)
  const { rows } = await transaction.query<{ taken: boolean }>(TRY_LOCK, [key])
  return rows[0]?.taken === true
}
