import { setTimeout as sleep } from 'node:timers/promises'
import type { AlertRollUp } from '../../model/alert-counts.ts'
import type { Database } from '../../pg/database.ts'
import { selectTimestamp, timestampFromRow } from '../../pg/row-values.ts'

/** How long one run of the maintenance counts. What is left is for the next one. */
export const ROLL_UP_MS = 60_000

/** So many are counted in one transaction: more while it takes a moment, fewer when it takes longer. */
const FIRST_HOURS = 24
const MOST_HOURS = 744
const SHORT_STEP_MS = 250
const LONG_STEP_MS = 1000

/** Writers that began before the mark mostly end in a moment. For one that does not, the next run comes. */
const WAIT_MS = 2000
const PAUSE_MS = 50

interface StepRow {
  readonly state: AlertRollUp['state']
  readonly closed_hours: number
  readonly forgotten_hours: number
  readonly merged_hours: number
  readonly settled_through: string | null
}

const ROLL_UP_STEP = `
  SELECT
    state,
    closed_hours,
    forgotten_hours,
    merged_hours,
    ${selectTimestamp('settled_through')}
  FROM roll_up_alert_hours($1)`

/**
 * Counts the alerts of hours that are over, the newest first, in short transactions, until nothing is left or the time is over. Any number
 * may call it at once: one works, the others leave. What was counted before it throws stays.
 * @throws DatabaseError, and the reason of the signal or QUERY_FAILED with SQLSTATE 57014 when that is aborted.
 */
export async function rollUpAlertHours(
  db: Database,
  signal: AbortSignal,
  budgetMs = ROLL_UP_MS,
): Promise<AlertRollUp> {
  const endsAt = performance.now() + budgetMs
  let hours = FIRST_HOURS
  let done: AlertRollUp = {
    state: 'working',
    closedHours: 0,
    forgottenHours: 0,
    mergedHours: 0,
    settledThrough: '-infinity',
  }
  let waitedMs = 0
  while (
    (done.state === 'working' || (done.state === 'waiting' && waitedMs < WAIT_MS)) &&
    performance.now() < endsAt
  ) {
    signal.throwIfAborted()
    if (done.state === 'waiting') {
      await sleep(PAUSE_MS)
      waitedMs += PAUSE_MS
    }
    const startedAt = performance.now()
    // A transaction, because a step has to be at READ COMMITTED, whatever the session's default is.
    const { rows } = await db.transaction(
      transaction => transaction.query<StepRow>(ROLL_UP_STEP, [hours]),
      signal,
    )
    hours = hoursOfNextStep(hours, performance.now() - startedAt)
    for (const step of rows) {
      done = {
        state: step.state,
        closedHours: done.closedHours + step.closed_hours,
        forgottenHours: done.forgottenHours + step.forgotten_hours,
        mergedHours: done.mergedHours + step.merged_hours,
        settledThrough:
          step.settled_through === null ? done.settledThrough : timestampFromRow(step.settled_through),
      }
    }
  }
  return done
}

function hoursOfNextStep(hours: number, tookMs: number): number {
  if (tookMs < SHORT_STEP_MS) return Math.min(hours * 2, MOST_HOURS)
  return tookMs > LONG_STEP_MS ? Math.max(1, Math.floor(hours / 2)) : hours
}
