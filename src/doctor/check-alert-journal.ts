import { integerFromRow, timestampFromRow } from '../pg/row-values.ts'
import { type CheckOutcome, counted, countedUpTo, type NewFinding } from './check-outcome.ts'
import { type CheckContext, USE_INDEXES } from './context.ts'
import { recordedKeepHours } from './maintenance-tasks.ts'

/** What prune_alert_journal keeps when it is not told. */
const DEFAULT_KEEP_HOURS = 72
/** A scheduler may prune once a day. */
const LATEST_HOURS = 24
const MOST_COUNTED = 10_000

/** The oldest, by their index: there may be millions. The newest row of all is always kept. */
const READ_JOURNAL_AGE = `
  SELECT
    count(*) AS overdue,
    coalesce(
      bool_or(
        overdue.xid < pg_snapshot_xmin(pg_current_snapshot())
        -- From another server, by a dump: pruning begins the journal anew.
        OR overdue.xid >= pg_snapshot_xmax(pg_current_snapshot())
      ),
      false
    ) AS "isRemovable",
    pg_total_relation_size('alert_journal') AS bytes,
    (
      SELECT to_json(min(written_at) AT TIME ZONE 'UTC')
      FROM alert_journal
    ) AS oldest
  FROM (
    SELECT xid
    FROM alert_journal
    WHERE written_at < now() - $1 * INTERVAL '1 hour'
      AND xid < (
        SELECT xid
        FROM alert_journal
        ORDER BY xid DESC
        LIMIT 1
      )
    ORDER BY written_at
    LIMIT ${MOST_COUNTED + 1}
  ) AS overdue`

const FIND_OLD_TRANSACTIONS = `SELECT pid, datname, xact_start, state, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start;
SELECT * FROM pg_prepared_xacts ORDER BY prepared;`

interface JournalAgeRow {
  readonly overdue: string
  readonly isRemovable: boolean
  readonly bytes: string
  readonly oldest: string | null
}

interface JournalAge {
  readonly overdue: number
  readonly isWaiting: boolean
  readonly bytes: number
  readonly oldest: string | null
  readonly keepHours: number
  readonly lastPrunedAt: string | null
}

export async function checkAlertJournal(context: CheckContext): Promise<CheckOutcome> {
  const age = await readJournalAge(context)
  const { overdue, oldest, bytes } = age
  return {
    message:
      oldest === null ? 'it is empty' : `it reaches back to ${oldest}, and takes ${counted(bytes, 'byte')}`,
    findings: overdue > 0 ? [overdueFinding(age)] : [],
    details: detailsOf(age),
  }
}

async function readJournalAge(context: CheckContext): Promise<JournalAge> {
  const tasks = await context.tasks()
  const keepHours = recordedKeepHours(tasks) ?? DEFAULT_KEEP_HOURS
  const row = await context.ask(async transaction => {
    await transaction.runScript(USE_INDEXES)
    const { rows } = await transaction.query<JournalAgeRow>(READ_JOURNAL_AGE, [keepHours + LATEST_HOURS])
    return rows[0]
  })
  const oldest = row?.oldest ?? null
  return {
    overdue: integerFromRow('overdue', row?.overdue ?? '0'),
    isWaiting: row?.isRemovable === false,
    bytes: integerFromRow('bytes', row?.bytes ?? '0'),
    oldest: oldest === null ? null : timestampFromRow(oldest),
    keepHours,
    lastPrunedAt: tasks.find(({ task }) => task === 'prune_journal')?.lastSuccessAt ?? null,
  }
}

function overdueFinding(age: JournalAge): NewFinding {
  const { overdue, isWaiting, bytes, oldest, keepHours, lastPrunedAt } = age
  const rows = countedUpTo(overdue, MOST_COUNTED, 'row that is', 'rows that are')
  const pruned = lastPrunedAt === null ? 'it was never pruned' : `it was pruned last at ${lastPrunedAt}`
  const what = `the journal of alerts holds ${rows} more than a day older than the ${counted(keepHours, 'hour')} it is kept, the oldest of ${oldest}; it takes ${counted(bytes, 'byte')}, and ${pruned}`
  const prune = `SELECT prune_alert_journal(INTERVAL '${keepHours} hours');`
  return {
    subject: null,
    message: isWaiting
      ? `${what}. A transaction is open that began before these rows, so they stay until it ends`
      : `${what}. Each statement that writes alerts adds to it: open a store as the owner of the tables, which prunes it every hour, or let a scheduler call prune_alert_journal()`,
    mend: isWaiting
      ? `${FIND_OLD_TRANSACTIONS}\n-- End what is not needed any more, and then:\n${prune}`
      : prune,
    details: detailsOf(age),
  }
}

function detailsOf(age: JournalAge) {
  const { overdue, isWaiting, bytes, oldest, keepHours, lastPrunedAt } = age
  return {
    overdue: Math.min(overdue, MOST_COUNTED),
    isAtLeast: overdue > MOST_COUNTED,
    isWaiting: overdue > 0 && isWaiting,
    bytes,
    oldest,
    keepHours,
    lastPrunedAt,
  }
}
