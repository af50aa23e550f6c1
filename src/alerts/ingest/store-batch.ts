import { DatabaseError, isRetryable, TripwireStorageError } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { Database } from '../../pg/database.ts'
import { SQLSTATE, SQLSTATE_CLASS } from '../../pg/sqlstate.ts'
import { copyAlerts, fitsOneCopy } from './copy-alerts.ts'
import type { CopyEncoder } from './copy-encoder.ts'
import { type InsertOutcome, insertMissingAlerts } from './insert-missing-alerts.ts'

/** `refused`: the database takes every alert of the batch but this one. */
export type BatchOutcome =
  | { readonly kind: 'stored' | 'duplicate' }
  | { readonly kind: 'refused'; readonly error: TripwireStorageError }

export interface StoreBatchOptions {
  /** Looks for an alert in all months instead of the last week. Excludes the fast path. */
  readonly deduplicateAllMonths: boolean
  /** Makes the month's partition that a moment falls into; `null` is the server's now. */
  readonly ensurePartition: (moment: string | null) => Promise<unknown>
}

const STORED: BatchOutcome = { kind: 'stored' }
const DUPLICATE: BatchOutcome = { kind: 'duplicate' }
const MOST_CONFLICT_RETRIES = 5
/** JSON nested too deeply, or a row too large for an index, is a limit of the program. */
const CLASSES_ABOUT_ROWS: ReadonlySet<string> = new Set([
  SQLSTATE_CLASS.dataException,
  SQLSTATE_CLASS.integrityConstraintViolation,
  SQLSTATE_CLASS.programLimitExceeded,
])

/**
 * Stores a batch, whatever single alerts are like: by COPY, and, when that fails because of what is in it, by the slow path.
 * @throws DatabaseError when nothing can be said of the alerts themselves, such as a lost connection. Part of the
 *   batch may be stored then; sending all of it again is safe, because the alerts carry their ids.
 */
export async function storeBatch(
  db: Database,
  alerts: readonly AcceptedAlert[],
  encoder: CopyEncoder,
  options: StoreBatchOptions,
): Promise<readonly BatchOutcome[]> {
  if (!options.deduplicateAllMonths && fitsOneCopy(alerts)) {
    try {
      await copyAlerts(db, alerts, encoder)
      return alerts.map(() => STORED)
    } catch (error) {
      if (!isMissingPartition(error) && !isConflict(error) && !isAboutTheAlerts(error)) throw error
    }
  }
  return storeWithoutUnknownHosts(db, alerts, options)
}

/** Unknown hosts are the one refusal that comes in numbers: all of them are found by one query, the rest by halving. */
async function storeWithoutUnknownHosts(
  db: Database,
  alerts: readonly AcceptedAlert[],
  options: StoreBatchOptions,
): Promise<readonly BatchOutcome[]> {
  const known = await findKnownHosts(db, alerts)
  const candidates = alerts.filter(alert => known.has(alert.hostId))
  const outcomes = (await storeByHalving(db, candidates, options)).values()
  return alerts.map(alert => (known.has(alert.hostId) ? outcomeOf(outcomes) : unknownHost(alert)))
}

function outcomeOf(outcomes: Iterator<BatchOutcome>): BatchOutcome {
  const next = outcomes.next()
  if (next.done) throw new TripwireStorageError('MALFORMED_ROW', 'an alert of the batch has no outcome')
  return next.value
}

const KNOWN_HOSTS = `
  SELECT host_id AS "hostId"
  FROM hosts
  WHERE host_id = ANY ($1::uuid[])`

async function findKnownHosts(db: Database, alerts: readonly AcceptedAlert[]): Promise<ReadonlySet<string>> {
  const hostIds = [...new Set(alerts.map(alert => alert.hostId))]
  const { rows } = await db.query<{ hostId: string }>(KNOWN_HOSTS, [hostIds])
  return new Set(rows.map(row => row.hostId))
}

async function storeByHalving(
  db: Database,
  alerts: readonly AcceptedAlert[],
  options: StoreBatchOptions,
): Promise<readonly BatchOutcome[]> {
  if (alerts.length === 0) return []
  try {
    const outcomes = await insertWithRetry(db, alerts, options)
    return outcomes.map((outcome, index) => batchOutcome(outcome, alerts[index]))
  } catch (error) {
    if (!isAboutTheAlerts(error)) throw error
    if (alerts.length === 1) return [{ kind: 'refused', error }]
    const middle = Math.ceil(alerts.length / 2)
    return [
      ...(await storeByHalving(db, alerts.slice(0, middle), options)),
      ...(await storeByHalving(db, alerts.slice(middle), options)),
    ]
  }
}

async function insertWithRetry(
  db: Database,
  alerts: readonly AcceptedAlert[],
  options: StoreBatchOptions,
): Promise<readonly InsertOutcome[]> {
  let ensured = 0
  for (let attempt = 1; ; attempt++) {
    try {
      return await insertMissingAlerts(db, alerts, options.deduplicateAllMonths)
    } catch (error) {
      // A month may end in between.
      if (isMissingPartition(error) && ensured < 2) {
        ensured++
        await ensurePartitions(alerts, options, error)
      } else if (!isConflict(error) || attempt > MOST_CONFLICT_RETRIES) {
        throw error
      }
    }
  }
}

/** A partition that cannot be made is about the alerts of its month: they are refused as those that fit no partition. */
async function ensurePartitions(
  alerts: readonly AcceptedAlert[],
  options: StoreBatchOptions,
  missing: DatabaseError,
): Promise<void> {
  const byMonth = new Map(alerts.map(alert => [alert.receivedAt?.slice(0, 7), alert.receivedAt]))
  try {
    for (const moment of byMonth.values()) await options.ensurePartition(moment)
  } catch (cause) {
    if (!(cause instanceof DatabaseError) || cause.sqlState === undefined || isRetryable(cause)) throw cause
    throw new DatabaseError('QUERY_FAILED', `${missing.message}: ${cause.message}`, {
      cause,
      hint: cause.hint,
      sqlState: missing.sqlState,
      table: missing.table,
      column: 'received_at',
    })
  }
}

function batchOutcome(outcome: InsertOutcome, alert: AcceptedAlert | undefined): BatchOutcome {
  if (outcome === 'stored') return STORED
  if (outcome === 'duplicate') return DUPLICATE
  const error = new TripwireStorageError(
    'ALERT_CONFLICT',
    `alert ${alert?.alertId} of host ${alert?.hostId} is stored already, with other content`,
    { hint: 'the first content stays; a sensor must not give one id to two alerts' },
  )
  return { kind: 'refused', error }
}

function unknownHost(alert: AcceptedAlert): BatchOutcome {
  const error = new DatabaseError('UNKNOWN_HOST', `alerts: there is no host ${alert.hostId}`, {
    sqlState: SQLSTATE.foreignKeyViolation,
    table: 'alerts',
    column: 'host_id',
    hint: 'register it with upsertHost, then redrive the dead letter',
  })
  return { kind: 'refused', error }
}

/** PostgreSQL reports a row that fits no partition as a check violation that names no constraint. */
function isMissingPartition(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.sqlState === SQLSTATE.checkViolation && !error.constraint
}

/** Another statement was in the way. The slow path passes over what is stored, so a unique violation is one of these. */
function isConflict(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false
  const { sqlState } = error
  return (
    sqlState === SQLSTATE.serializationFailure ||
    sqlState === SQLSTATE.deadlockDetected ||
    sqlState === SQLSTATE.uniqueViolation
  )
}

function isAboutTheAlerts(error: unknown): error is DatabaseError {
  const sqlClass = error instanceof DatabaseError ? error.sqlState?.slice(0, 2) : undefined
  return sqlClass !== undefined && CLASSES_ABOUT_ROWS.has(sqlClass)
}
