import { setTimeout as sleep } from 'node:timers/promises'
import type { QueryRunner } from '../../pg/database.ts'
import { isLockConflict } from '../../pg/retry-lock.ts'

const LONGEST_PAUSE_MS = 1000

/** Runs a statement that takes a lock, as `retryStep` does. */
export async function retryStatement(
  transaction: QueryRunner,
  statement: string,
  attempts: number,
  signal?: AbortSignal,
): Promise<void> {
  await retryStep(transaction, () => transaction.runScript(statement), attempts, signal)
}

/**
 * Runs a step of a transaction that takes locks. When one is not to be had within the lock timeout of the transaction, the step is
 * undone, and tried again after a pause of random length, `attempts` times in all; what the transaction did before stays.
 */
export async function retryStep(
  transaction: QueryRunner,
  step: () => Promise<void>,
  attempts: number,
  signal?: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await transaction.runScript('SAVEPOINT before_lock')
    try {
      await step()
      break
    } catch (error) {
      if (!isLockConflict(error) || attempt === attempts) throw error
    }
    await transaction.runScript('ROLLBACK TO SAVEPOINT before_lock')
    await sleep(LONGEST_PAUSE_MS * Math.random(), undefined, signal ? { signal } : {})
  }
  await transaction.runScript('RELEASE SAVEPOINT before_lock')
}
