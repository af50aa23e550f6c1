import { DatabaseError } from '../../errors.ts'
import type { Database } from '../../pg/database.ts'
import { quoteIdentifier } from '../../pg/identifier.ts'
import { SQLSTATE } from '../../pg/sqlstate.ts'

/** How long a detachment waits for the transactions that are open when it begins. */
const DETACH_TIMEOUT_MS = 60_000

/**
 * Takes a partition out of `alerts` while readers and writers go on. Its two halves are two transactions: cut in between, it
 * stays pending, and `finalizeDetach` finishes it.
 *
 * It has no lock_timeout, which could only be set on the session. It needs none: no reader or writer of `alerts` waits for
 * SHARE UPDATE EXCLUSIVE, and once the first half is committed no new statement looks at the partition any more.
 * @throws DatabaseError with SQLSTATE 57014 when older transactions did not end in time.
 */
export async function detachPartition(db: Database, partition: string, signal: AbortSignal): Promise<void> {
  const timeout = AbortSignal.timeout(DETACH_TIMEOUT_MS)
  try {
    await db
      .withSignal(AbortSignal.any([signal, timeout]))
      .runScript(`ALTER TABLE alerts DETACH PARTITION ${quoteIdentifier(partition)} CONCURRENTLY`)
  } catch (cause) {
    if (isDefaultInTheWay(cause)) throw defaultInTheWay(partition, cause)
    if (!timeout.aborted || signal.aborted) throw cause
    throw new DatabaseError(
      'QUERY_FAILED',
      `${partition} is not detached yet: transactions that began before did not end within ${DETACH_TIMEOUT_MS} ms`,
      {
        cause,
        sqlState: SQLSTATE.queryCanceled,
        hint: 'the next maintenance finishes it; look for old transactions in pg_stat_activity (xact_start)',
      },
    )
  }
}

function isDefaultInTheWay(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.sqlState === SQLSTATE.objectNotInPrerequisiteState
}

function defaultInTheWay(partition: string, cause: DatabaseError): DatabaseError {
  return new DatabaseError('QUERY_FAILED', `${partition} cannot be detached: ${cause.message}`, {
    cause,
    sqlState: cause.sqlState,
    hint: 'a DEFAULT partition, or a detachment that is pending, is in the way; see: tripwire-storage doctor',
  })
}
