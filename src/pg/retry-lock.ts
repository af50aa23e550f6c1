import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseError } from '../errors.ts'
import type { Database, QueryRunner } from './database.ts'
import { SQLSTATE } from './sqlstate.ts'

/**
 * How long a statement waits for a lock on a table in use. Whoever comes after it waits as long, so it is short; but longer than
 * deadlock_timeout (1 s), at which the server ends an autovacuum that is in the way.
 */
export const LOCK_TIMEOUT_MS = 1500
const MOST_ATTEMPTS = 5
const LONGEST_PAUSE_MS = 1000

export interface LockAttempts {
  readonly signal?: AbortSignal | undefined
  /** How long each attempt waits for a lock. Defaults to `LOCK_TIMEOUT_MS`. */
  readonly lockTimeoutMs?: number | undefined
  /** Defaults to 5. */
  readonly attempts?: number | undefined
}

/**
 * Runs `work` in a transaction whose statements wait for a lock no longer than the lock timeout. When one was not to be had,
 * the transaction is rolled back and tried again after a pause of random length: nobody waits behind it for longer than one
 * attempt.
 */
export async function transactionWithLockTimeout<T>(
  db: Database,
  work: (transaction: QueryRunner) => Promise<T>,
  { signal, lockTimeoutMs = LOCK_TIMEOUT_MS, attempts = MOST_ATTEMPTS }: LockAttempts = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction(async transaction => {
        await transaction.runScript(`SET LOCAL lock_timeout = ${lockTimeoutMs}`)
        return work(transaction)
      })
    } catch (error) {
      if (!isLockConflict(error) || attempt >= attempts) throw error
    }
    await sleep(LONGEST_PAUSE_MS * Math.random(), undefined, signal ? { signal } : {})
  }
}

/** Whether a statement failed because others held what it needed. */
export function isLockConflict(error: unknown): boolean {
  return (
    error instanceof DatabaseError &&
    (error.sqlState === SQLSTATE.lockNotAvailable || error.sqlState === SQLSTATE.deadlockDetected)
  )
}
