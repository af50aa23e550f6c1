import type { AlertRollUp } from '../../model/alert-counts.ts'
import type { Database } from '../../pg/database.ts'
import { selectTimestamp, timestampFromRow } from '../../pg/row-values.ts'

/** How long one run of the maintenance counts. What is left is for the next one. */
export const ROLL_UP_MS = 60_000

/** So many are counted in one transaction. */
const HOURS_A_STEP = 24

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
 * may call it at once: one works, the others leave.
 * @throws DatabaseError. What was counted until then stays.
 */
export async function rollUpAlertHours(
  db: Database,
  signal: AbortSignal,
  budgetMs = ROLL_UP_MS,
): Promise<AlertRollUp> {
  const endsAt = performance.now() + budgetMs
  const runner = db.withSignal(signal)
  let done: AlertRollUp = {
    state: 'working',
    closedHours: 0,
    forgottenHours: 0,
    mergedHours: 0,
    settledThrough: '-infinity',
  }
  while (done.state === 'working' && performance.now() < endsAt) {
    signal.throwIfAborted()
    const { rows } = await runner.query<StepRow>(ROLL_UP_STEP, [HOURS_A_STEP])
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
