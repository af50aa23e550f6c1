import type { Database } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { transactionWithLockTimeout } from '../pg/retry-lock.ts'

/**
 * Longer than for others: it waits for every transaction with an older snapshot, so that beside queries of a few seconds it would
 * never come to its end. No writer waits for what it holds meanwhile; the making of a month and the deletion of a host do.
 */
const FINALIZE_LOCK_TIMEOUT_MS = 6000
const FINALIZE_ATTEMPTS = 2

/** Finishes a detachment that was cut half way. */
export async function finalizeDetach(db: Database, partition: string, signal?: AbortSignal): Promise<void> {
  await transactionWithLockTimeout(
    db,
    transaction =>
      transaction.runScript(`ALTER TABLE alerts DETACH PARTITION ${quoteIdentifier(partition)} FINALIZE`),
    { signal, lockTimeoutMs: FINALIZE_LOCK_TIMEOUT_MS, attempts: FINALIZE_ATTEMPTS },
  )
}
