import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseError, isRetryable } from '../../errors.ts'
import type { QueryRunner, TransactionRunner } from '../../pg/database.ts'
import { SQLSTATE } from '../../pg/sqlstate.ts'

/** How long to wait for the lock of a chain, and how often, where only one caller waits for it. */
export const LOCK_TIMEOUT_MS = 1500
export const LOCK_ATTEMPTS = 5

/** A client that fell silent in a transaction would keep everybody else from the chain. */
const LONGEST_SILENCE_MS = 30_000
/** Others may write to a chain without asking for its lock. Then the one whose number is taken tries again. */
const MOST_CONFLICTS = 20
const LONGEST_CONFLICT_PAUSE_MS = 50
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000
/** Two entries with one number. */
const FORK_CONSTRAINT = 'audit_host_sequence_unique'

const CONFLICTS: ReadonlySet<string | undefined> = new Set([
  SQLSTATE.serializationFailure,
  SQLSTATE.deadlockDetected,
])

export interface AuditTransactionOptions {
  /** How long to wait for the lock of a chain. */
  readonly lockTimeoutMs: number
  /** How often to wait for it. */
  readonly lockAttempts: number
  /** How long to try again after a passing error, such as a lost connection. */
  readonly retryForMs: number
  /** Ends the pauses between two tries. */
  readonly signal?: AbortSignal
  /** The connection broke, and perhaps after the commit. */
  readonly onOutcomeUnknown?: (error: unknown) => void
}

/**
 * Runs `work` in a transaction that sees what was committed before it had its locks, and again after a passing error. It has to
 * recognise what an earlier try has stored.
 */
export async function auditTransaction<T>(
  db: TransactionRunner,
  work: (transaction: QueryRunner) => Promise<T>,
  options: AuditTransactionOptions,
): Promise<T> {
  const { lockTimeoutMs, lockAttempts, retryForMs, signal, onOutcomeUnknown } = options
  const begin = [
    'BEGIN ISOLATION LEVEL READ COMMITTED',
    `SET LOCAL lock_timeout = ${lockTimeoutMs}`,
    `SET LOCAL idle_in_transaction_session_timeout = ${LONGEST_SILENCE_MS}`,
  ].join('; ')
  const startedAt = performance.now()
  let conflicts = 0
  let timeouts = 0
  /** @returns how long to pause at the most; `undefined`: it is not tried again. */
  const pauseAfter = (error: unknown, attempt: number): number | undefined => {
    if (isConflict(error)) return ++conflicts < MOST_CONFLICTS ? LONGEST_CONFLICT_PAUSE_MS : undefined
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS)
    if (isLockTimeout(error)) return ++timeouts < lockAttempts ? pauseMs : undefined
    if (!isRetryable(error)) return undefined
    onOutcomeUnknown?.(error)
    return performance.now() - startedAt + pauseMs <= retryForMs ? pauseMs : undefined
  }
  for (let attempt = 0; ; attempt++) {
    try {
      return await db.transaction(work, undefined, begin)
    } catch (error) {
      const pauseMs = pauseAfter(error, attempt)
      if (pauseMs === undefined || signal?.aborted) throw error
      // A part of it random, so that several processes do not come back at once.
      await sleep(pauseMs * Math.random(), undefined, signal ? { signal } : {}).catch(() => {
        throw error
      })
    }
  }
}

/** Whether the lock of a chain was not to be had in time. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === SQLSTATE.lockNotAvailable
}

/** Whether somebody else has taken the number of an entry meanwhile. */
export function isFork(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.constraint === FORK_CONSTRAINT
}

/** Whether somebody else was quicker, and nothing was stored. */
function isConflict(error: unknown): boolean {
  return isFork(error) || (error instanceof DatabaseError && CONFLICTS.has(error.sqlState))
}
