import { TripwireStorageError } from '../errors.ts'
import type { AlertPartition } from '../model/partition.ts'
import { attachedMonths, coveredUntil, spanOf } from '../partitions/coverage.ts'
import { monthStart } from '../partitions/months.ts'
import type { QueryRunner } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { integerFromRow, timestampFromRow } from '../pg/row-values.ts'
import { type CheckOutcome, countedUpTo, type NewFinding } from './check-outcome.ts'
import { type CheckContext, USE_INDEXES } from './context.ts'
import { recordedMonthsAhead } from './maintenance-tasks.ts'

/** Nobody makes partitions for so long ahead, unless the maintenance was told to. */
const MOST_MONTHS_AHEAD = 13
const MOST_COUNTED = 10_000

/**
 * From when on a partition is too far ahead to have been made on purpose. Months without a hole before them were, however many
 * they are.
 */
export async function firstFarMonth(context: CheckContext): Promise<number> {
  const { nowMs, partitions } = await context.partitions()
  const tasks = await context.tasks().catch((error: unknown) => {
    if (error instanceof TripwireStorageError) return []
    throw error
  })
  const expectedUntil = monthStart(nowMs, Math.max(MOST_MONTHS_AHEAD, recordedMonthsAhead(tasks)) + 1)
  return Math.max(expectedUntil, coveredUntil(attachedMonths(partitions).map(spanOf), nowMs))
}

export async function checkFarFuture(context: CheckContext): Promise<CheckOutcome> {
  const { partitions } = await context.partitions()
  const farMs = await firstFarMonth(context)
  const far = attachedMonths(partitions).filter(each => spanOf(each).fromMs >= farMs)
  const alerts = await context.ask(findFarAlerts)
  const bringBack = bringBackSql(await context.alertColumns())
  const findings = [
    ...alertFindings(alerts, bringBack),
    ...far.map(each => partitionFinding(each, bringBack)),
  ]
  return {
    message: findings.length === 0 ? 'none' : findings.map(({ subject }) => subject).join(', '),
    findings,
  }
}

interface FarAlerts {
  readonly partition: string
  readonly count: number
  readonly newest: string
}

/** Newest first, because that is how the index of every partition gives them, whatever the statistics say. */
const FIND_FAR_ALERTS = `
  SELECT
    relname AS partition,
    count(*) AS count,
    to_json(max(received_at) AT TIME ZONE 'UTC') AS newest
  FROM (
    SELECT
      tableoid,
      received_at
    FROM alerts
    WHERE received_at > now() + INTERVAL '1 day'
    ORDER BY received_at DESC
    LIMIT ${MOST_COUNTED + 1}
  ) AS far
  JOIN pg_class
    ON pg_class.oid = far.tableoid
  GROUP BY relname
  ORDER BY relname COLLATE "C"`

async function findFarAlerts(transaction: QueryRunner): Promise<readonly FarAlerts[]> {
  await transaction.runScript(USE_INDEXES)
  const { rows } = await transaction.query<{ partition: string; count: string; newest: string }>(
    FIND_FAR_ALERTS,
  )
  return rows.map(({ partition, count, newest }) => ({
    partition,
    count: integerFromRow('count', count),
    newest: timestampFromRow(newest),
  }))
}

/**
 * They cannot have been received yet, so they get the moment at which they are mended. No UPDATE, which may not move them to another month.
 * @param columns of `readAlertColumns`.
 */
function bringBackSql(columns: readonly string[]): string {
  return `WITH far AS (
  DELETE FROM alerts
  WHERE received_at > now() + INTERVAL '1 day'
  RETURNING *
)
INSERT INTO alerts (${columns.join(', ')})
SELECT ${columns.map(column => (column === 'received_at' ? 'now()' : column)).join(', ')}
FROM far;`
}

function alertFindings(alerts: readonly FarAlerts[], bringBack: string): readonly NewFinding[] {
  return alerts.map(({ partition, count, newest }) => ({
    subject: partition,
    message: `${partition} holds ${countedUpTo(count, MOST_COUNTED, 'alert')} received more than a day from now, the newest at ${newest}: somebody wrote receivedAt with a wrong clock; they stand before every new alert, and retention does not reach them`,
    mend: bringBack,
    details: { alerts: count, newest },
  }))
}

/** In one transaction: it must not be dropped when an alert could not be brought back. */
function partitionFinding({ partition, from }: AlertPartition, bringBack: string): NewFinding {
  const table = quoteIdentifier(partition)
  return {
    subject: partition,
    message: `${partition} begins at ${from}, so far ahead that it can only be a mistake, such as a wrong year: every query without an upper bound looks into it`,
    mend: [
      'BEGIN;',
      "SET LOCAL lock_timeout = '2s';",
      bringBack,
      `ALTER TABLE alerts DETACH PARTITION ${table};`,
      `DROP TABLE ${table};`,
      'COMMIT;',
    ].join('\n'),
    details: { from },
  }
}
