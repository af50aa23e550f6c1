import type { Database } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { transactionWithLockTimeout } from '../pg/retry-lock.ts'

/**
 * Finishes a detachment that was cut half way. It waits for transactions that are older than the first half, no longer than
 * the lock timeout, and is tried again.
 */
export async function finalizeDetach(db: Database, partition: string, signal?: AbortSignal): Promise<void> {
  await transactionWithLockTimeout(
    db,
    transaction =>
      transaction.runScript(`ALTER TABLE alerts DETACH PARTITION ${quoteIdentifier(partition)} FINALIZE`),
    signal,
  )
}
