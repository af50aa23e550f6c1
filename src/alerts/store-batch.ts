import { DatabaseError } from '../errors.ts'
import type { AcceptedAlert } from '../model/accepted-alert.ts'
import type { QueryRunner } from '../pg/database.ts'
import { SQLSTATE, SQLSTATE_CLASS } from '../pg/sqlstate.ts'
import { type InsertOutcome, insertAlerts } from './insert-alerts.ts'

/** `refused`: the database takes every alert of the batch but this one. */
export type AlertOutcome =
  | { readonly kind: InsertOutcome }
  | { readonly kind: 'refused'; readonly error: DatabaseError }

export interface StoreBatchOptions {
  readonly deduplicationWindowMs: number
  /** Makes the month's partition that a moment falls into; `null` is the server's now. */
  readonly ensurePartition: (moment: string | null) => Promise<unknown>
}

const MOST_CONFLICT_RETRIES = 5

/**
 * Stores a batch, whatever single alerts are like: a missing month is made, an alert that the database refuses is found by
 * halving while the rest is stored, deadlocks are tried again.
 * @throws DatabaseError when nothing can be said of the alerts themselves, such as a lost connection. Part of the
 *   batch may be stored then; sending all of it again is safe, because the alerts carry their ids.
 */
export async function storeBatch(
  db: QueryRunner,
  alerts: readonly AcceptedAlert[],
  options: StoreBatchOptions,
): Promise<readonly AlertOutcome[]> {
  try {
    const outcomes = await insertWithRetry(db, alerts, options)
    return outcomes.map(kind => ({ kind }))
  } catch (error) {
    if (!isAboutTheAlerts(error)) throw error
    if (alerts.length === 1) return [{ kind: 'refused', error }]
    const middle = Math.ceil(alerts.length / 2)
    return [
      ...(await storeBatch(db, alerts.slice(0, middle), options)),
      ...(await storeBatch(db, alerts.slice(middle), options)),
    ]
  }
}

async function insertWithRetry(
  db: QueryRunner,
  alerts: readonly AcceptedAlert[],
  options: StoreBatchOptions,
): Promise<readonly InsertOutcome[]> {
  let partitionsEnsured = false
  for (let attempt = 1; ; attempt++) {
    try {
      return await insertAlerts(db, alerts, options.deduplicationWindowMs)
    } catch (error) {
      if (isMissingPartition(error) && !partitionsEnsured) {
        partitionsEnsured = true
        await ensurePartitions(alerts, options)
      } else if (!isConflict(error) || attempt > MOST_CONFLICT_RETRIES) {
        throw error
      }
    }
  }
}

async function ensurePartitions(alerts: readonly AcceptedAlert[], options: StoreBatchOptions): Promise<void> {
  const byMonth = new Map(alerts.map(alert => [alert.receivedAt?.slice(0, 7), alert.receivedAt]))
  for (const moment of byMonth.values()) await options.ensurePartition(moment)
}

/** PostgreSQL reports a row that fits no partition as a check violation that names no constraint. */
function isMissingPartition(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === SQLSTATE.checkViolation && !error.constraint
}

function isConflict(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false
  return error.sqlState === SQLSTATE.serializationFailure || error.sqlState === SQLSTATE.deadlockDetected
}

function isAboutTheAlerts(error: unknown): error is DatabaseError {
  const sqlClass = error instanceof DatabaseError ? error.sqlState?.slice(0, 2) : undefined
  return sqlClass === SQLSTATE_CLASS.dataException || sqlClass === SQLSTATE_CLASS.integrityConstraintViolation
}
