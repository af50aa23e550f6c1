import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseError } from '../../errors.ts'
import type { Database } from '../../pg/database.ts'
import { quoteIdentifier } from '../../pg/identifier.ts'
import { LOCK_TIMEOUT_MS } from '../../pg/retry-lock.ts'
import { SQLSTATE } from '../../pg/sqlstate.ts'
import { finalizeDetach } from '../finalize-detach.ts'

/** How long a detachment waits for the transactions that are open when it begins. */
const DETACH_TIMEOUT_MS = 60_000
const WATCH_EVERY_MS = 250

/**
 * The second half waits for those who use the partition by its own name, and keeps others from making months and from
 * deleting hosts meanwhile.
 */
const WAITS_FOR_PARTITION = `
  SELECT
  FROM pg_locks
  WHERE locktype = 'relation'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND relation = to_regclass($1)
    AND mode = 'AccessExclusiveLock'
    AND NOT granted
    AND waitstart < clock_timestamp() - $2 * INTERVAL '1 millisecond'`

/**
 * Takes a partition out of `alerts` while readers and writers go on. Its two halves are two transactions: cut in between, it
 * stays pending, and `finalizeDetach` finishes it.
 *
 * It has no lock_timeout, which could only be set on the session. While the first half waits for transactions that were open
 * before, it holds no lock that others wait for. The second half is watched from another connection, and cancelled when it
 * waits longer than a lock timeout; then it is left to `finalizeDetach`, which has one.
 * @throws DatabaseError with SQLSTATE 57014 when older transactions did not end in time, 55P03 when the partition is in use.
 */
export async function detachPartition(db: Database, partition: string, signal: AbortSignal): Promise<void> {
  const timeout = AbortSignal.timeout(DETACH_TIMEOUT_MS)
  const inUse = new AbortController()
  const ended = new AbortController()
  const watching = watchSecondHalf(db, partition, inUse, ended.signal)
  try {
    await db
      .withSignal(AbortSignal.any([signal, timeout, inUse.signal]))
      .runScript(`ALTER TABLE alerts DETACH PARTITION ${quoteIdentifier(partition)} CONCURRENTLY`)
  } catch (cause) {
    if (isDefaultInTheWay(cause)) throw defaultInTheWay(partition, cause)
    if (signal.aborted || !isCanceled(cause)) throw cause
    if (!inUse.signal.aborted) throw olderTransactions(partition, cause)
    await finalizeDetach(db, partition, signal)
  } finally {
    ended.abort()
    await watching
  }
}

async function watchSecondHalf(
  db: Database,
  partition: string,
  inUse: AbortController,
  ended: AbortSignal,
): Promise<void> {
  while (!ended.aborted) {
    // Whoever cannot be asked now is asked again.
    const found = await db
      .query(WAITS_FOR_PARTITION, [quoteIdentifier(partition), LOCK_TIMEOUT_MS])
      .catch(() => undefined)
    if (found !== undefined && found.rowCount > 0) return inUse.abort()
    await sleep(WATCH_EVERY_MS, undefined, { signal: ended }).catch(() => undefined)
  }
}

function isCanceled(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.sqlState === SQLSTATE.queryCanceled
}

function olderTransactions(partition: string, cause: DatabaseError): DatabaseError {
  return new DatabaseError(
    'QUERY_FAILED',
    `${partition} is not detached yet: transactions that began before did not end within ${DETACH_TIMEOUT_MS} ms`,
    {
      cause,
      sqlState: SQLSTATE.queryCanceled,
      hint: 'the next maintenance finishes it; look for old transactions in pg_stat_activity (xact_start)',
    },
  )
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
