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

/**
 * Runs `work` in a transaction whose statements wait for a lock for `LOCK_TIMEOUT_MS` at the most. When one was not to be had,
 * the transaction is rolled back and tried again after a pause of random length, five times in all: nobody waits behind it
 * for longer than one attempt.
 */
export async function transactionWithLockTimeout<T>(
  db: Database,
  work: (transaction: QueryRunner) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction(async transaction => {
        await transaction.runScript(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`)
        return work(transaction)
      })
    } catch (error) {
      if (!isLockConflict(error) || attempt === MOST_ATTEMPTS) throw error
    }
    await sleep(LONGEST_PAUSE_MS * Math.random(), undefined, signal ? { signal } : {})
  }
}

/** Whether a lock was not to be had: the same may succeed when it is tried again. */
export function isLockConflict(error: unknown): boolean {
  return (
    error instanceof DatabaseError &&
    (error.sqlState === SQLSTATE.lockNotAvailable || error.sqlState === SQLSTATE.deadlockDetected)
  )
}
