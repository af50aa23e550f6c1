import type { SeverityLevel } from '../../model/alert.ts'
import type { AlertCountCheck, AlertCountFinding } from '../../model/alert-counts.ts'
import { parseBoolean, parseObject, parseOptional } from '../../model/input.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import type { CallLimits } from '../../pg/call-limits.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { integerFromRow, selectTimestamp, timestampFromRow } from '../../pg/row-values.ts'
import { inCountTransaction } from './count-transaction.ts'

const MOST_FINDINGS = 1000

/** So many hours are compared in one statement, and so in one snapshot. */
const HOURS_A_STEP = 24

/** The first closed hours after a moment. */
const NEXT_HOURS = `
  SELECT ${selectTimestamp('hour')}
  FROM list_closed_alert_hours($1::timestamptz, $2::timestamptz)
  WHERE hour > $3::timestamptz
  ORDER BY list_closed_alert_hours.hour
  LIMIT $4`

/** One row where nothing differs, for the number of hours. An hour that is not closed any more is passed over. */
const COMPARE_HOURS = `
  WITH closed AS MATERIALIZED (
    SELECT hour
    FROM list_closed_alert_hours($1::timestamptz, $2::timestamptz)
    -- No other partition is sure to be read.
    JOIN unnest($4::oid[], $5::xid[]) AS planned (partition_id, attached_by)
      USING (partition_id, attached_by)
    WHERE hour = ANY ($3::timestamptz[])
  ),
  counted AS (
    SELECT
      hour,
      dimension,
      value,
      severity,
      sum(alerts) AS alerts
    FROM alert_hour_counts
    WHERE dimension IN ('total', 'type', 'host', 'rule')
      AND hour >= $1::timestamptz
      AND hour < $2::timestamptz
      AND hour IN (SELECT hour FROM closed)
    GROUP BY hour, dimension, value, severity
    HAVING sum(alerts) <> 0
  ),
  found AS (
    SELECT
      date_trunc('hour', received_at, 'UTC') AS hour,
      CASE GROUPING(tripwire_type, host_id, rule_name)
        WHEN 3 THEN 'type'
        WHEN 5 THEN 'host'
        WHEN 6 THEN 'rule'
        ELSE 'total'
      END AS dimension,
      coalesce(tripwire_type::text, host_id::text, rule_name, '') AS value,
      severity,
      count(*) AS alerts
    FROM alerts
    WHERE received_at >= $1::timestamptz
      AND received_at < $2::timestamptz
      AND date_trunc('hour', received_at, 'UTC') IN (SELECT hour FROM closed)
    GROUP BY 1, severity, GROUPING SETS ((), (tripwire_type), (host_id), (rule_name))
  ),
  different AS (
    SELECT
      hour,
      dimension,
      value,
      severity,
      coalesce(counted.alerts, 0) AS counted,
      coalesce(found.alerts, 0) AS found
    FROM counted
    FULL JOIN found
      USING (hour, dimension, value, severity)
    WHERE counted.alerts IS DISTINCT FROM found.alerts
  )
  SELECT
    (SELECT count(*) FROM closed) AS "closedHours",
    ${selectTimestamp('hour')},
    dimension,
    value,
    severity,
    counted,
    found
  FROM (VALUES (true)) AS always
  LEFT JOIN different
    ON true
  ORDER BY different.hour, dimension, value, severity`

const REOPEN_HOURS = `
  SELECT reopen_alert_hours($1::timestamptz[]) AS reopened`

interface ComparedRow {
  readonly closedHours: string
  /** All of the rest is `null` where nothing differs. */
  readonly hour: string | null
  readonly dimension: AlertCountFinding['dimension']
  readonly value: string
  readonly severity: SeverityLevel
  readonly counted: string
  readonly found: string
}

interface Compared {
  readonly hours: number
  readonly findings: readonly AlertCountFinding[]
}

/**
 * Counts the alerts of closed hours again, and compares. Each day's worth of hours is compared in one snapshot, while writers go on.
 * @throws InvalidInputError
 */
export async function checkAlertCounts(
  db: Database,
  options: unknown,
  limits: CallLimits,
): Promise<AlertCountCheck> {
  const given = parseObject('options', options, ['from', 'to', 'reopen'])
  const from = parseOptional(given.from, value => parseTimestamp('options.from', value)) ?? '-infinity'
  const to = parseOptional(given.to, value => parseTimestamp('options.to', value)) ?? 'infinity'
  const reopen = parseBoolean('options.reopen', given.reopen ?? false)
  let check: AlertCountCheck = { hours: 0, wrongHours: 0, reopenedHours: 0, findings: [] }
  for await (const hours of closedHours(db, { from, to }, limits)) {
    const compared = await compareHours(db, hours, limits)
    const wrong = [...new Set(compared.findings.map(({ hour }) => hour))]
    check = {
      hours: check.hours + compared.hours,
      wrongHours: check.wrongHours + wrong.length,
      reopenedHours: check.reopenedHours + (reopen && wrong.length > 0 ? await reopenHours(db, wrong) : 0),
      findings: [...check.findings, ...compared.findings].slice(0, MOST_FINDINGS),
    }
  }
  return check
}

/** In steps, oldest first. */
async function* closedHours(
  db: Database,
  { from, to }: { readonly from: string; readonly to: string },
  limits: CallLimits,
): AsyncGenerator<readonly string[]> {
  const runner = db.withLimits(limits)
  let after: string | undefined = '-infinity'
  while (after !== undefined) {
    const hours: readonly string[] = await nextHours(runner, [from, to, after])
    if (hours.length > 0) yield hours
    after = hours.at(-1)
  }
}

async function nextHours(runner: QueryRunner, values: readonly string[]): Promise<readonly string[]> {
  const { rows } = await runner.query<{ hour: string }>(NEXT_HOURS, [...values, HOURS_A_STEP])
  return rows.map(({ hour }) => timestampFromRow(hour))
}

async function compareHours(db: Database, hours: readonly string[], limits: CallLimits): Promise<Compared> {
  const [first] = hours
  const last = hours.at(-1)
  if (first === undefined || last === undefined) return { hours: 0, findings: [] }
  const span = { from: first, to: hourAfter(last), bucket: null }
  const { rows } = await inCountTransaction(db, span, limits, (transaction, partitions) =>
    transaction.query<ComparedRow>(COMPARE_HOURS, [
      span.from,
      span.to,
      hours,
      partitions.partitionIds,
      partitions.attachedBy,
    ]),
  )
  const findings = rows.flatMap(({ hour, dimension, value, severity, counted, found }) =>
    hour === null
      ? []
      : {
          hour: timestampFromRow(hour),
          dimension,
          value,
          severity,
          counted: integerFromRow('counted', counted),
          found: integerFromRow('found', found),
        },
  )
  return { hours: integerFromRow('closedHours', rows[0]?.closedHours ?? '0'), findings }
}

const HOUR_MS = 3_600_000

function hourAfter(hour: string): string {
  return new Date(new Date(hour).getTime() + HOUR_MS).toISOString()
}

async function reopenHours(db: Database, hours: readonly string[]): Promise<number> {
  const { rows } = await db.query<{ reopened: number }>(REOPEN_HOURS, [hours])
  return rows[0]?.reopened ?? 0
}
