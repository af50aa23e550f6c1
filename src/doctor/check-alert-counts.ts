import { integerFromRow, selectTimestamp, timestampFromRow } from '../pg/row-values.ts'
import { type CheckOutcome, counted, type NewFinding } from './check-outcome.ts'
import { type CheckContext, USE_INDEXES } from './context.ts'

/** So long after its end an hour is counted, even where a scheduler does it once a day. */
const LATEST_HOURS = 24

const COUNT = 'tripwire-storage alerts counts'

/** Whether alerts of uncounted hours are there is asked of the index alone. */
const READ_COUNT_STATE = `
  SELECT
    ${selectTimestamp('settled_through')},
    coalesce(state.wait_for > pg_snapshot_xmin(pg_current_snapshot()), false) AS "isWaiting",
    EXISTS (
      SELECT
      FROM alerts
      WHERE received_at >= state.settled_through
        AND received_at < now() - $1 * INTERVAL '1 hour'
    ) AS "isLate",
    (
      SELECT count(*)
      FROM list_open_alert_hours(state.settled_through)
      WHERE hour < now() - $1 * INTERVAL '1 hour'
    ) AS "openHours"
  FROM alert_count_state AS state`

/** What was counted is counted anew: from then on until the next mark, writers add nothing to it. */
const MAKE_STATE_ANEW = `WITH opened AS (
  DELETE FROM rolled_alert_hours
)
INSERT INTO alert_count_state (settled_through, marked_through)
VALUES ('-infinity', '-infinity');`

interface CountStateRow {
  readonly settled_through: string
  readonly isWaiting: boolean
  readonly isLate: boolean
  readonly openHours: string
}

export async function checkAlertCounts(context: CheckContext): Promise<CheckOutcome> {
  const state = await context.ask(async transaction => {
    await transaction.runScript(USE_INDEXES)
    const { rows } = await transaction.query<CountStateRow>(READ_COUNT_STATE, [LATEST_HOURS])
    return rows[0]
  })
  if (!state) return { message: 'the row of alert_count_state is gone', findings: [stateGone()] }
  const settledThrough = timestampFromRow(state.settled_through)
  const openHours = integerFromRow('openHours', state.openHours)
  const through =
    settledThrough === '-infinity' ? 'nothing is counted yet' : `counted through ${settledThrough}`
  return {
    // Old alerts that came in only now are no finding: the next run of the maintenance counts them.
    message: openHours === 0 ? through : `${through}; ${counted(openHours, 'hour')} of earlier days to go`,
    findings: state.isLate ? [lateFinding(settledThrough, state.isWaiting)] : [],
    details: { settledThrough, openHours },
  }
}

function lateFinding(settledThrough: string, isWaiting: boolean): NewFinding {
  const since =
    settledThrough === '-infinity'
      ? 'alerts are not counted by the hour'
      : `alerts since ${settledThrough} are not counted by the hour`
  return {
    subject: null,
    message: isWaiting
      ? `${since}, because a transaction is open that began before: timelines stay exact, and read each of these alerts; look for it in pg_stat_activity and pg_prepared_xacts`
      : `${since}: timelines stay exact, and read each of these alerts; open a store, which counts every hour, or let a scheduler call roll_up_alert_hours()`,
    mend: COUNT,
    details: { settledThrough, isWaiting },
  }
}

function stateGone(): NewFinding {
  return {
    subject: null,
    message:
      'alert_count_state has no row: every statement that writes alerts adds to the counts, and no hour counts as counted: timelines stay exact, and read every alert',
    mend: MAKE_STATE_ANEW,
  }
}
