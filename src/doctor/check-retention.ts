import type { AlertPartition } from '../model/partition.ts'
import { DAY_MS } from '../partitions/months.ts'
import { planRetention } from '../partitions/retention/plan-retention.ts'
import type { RetentionPolicy } from '../partitions/retention/retention-policy.ts'
import type { QueryRunner } from '../pg/database.ts'
import { selectTimestamp, timestampFromRow } from '../pg/row-values.ts'
import { type CheckOutcome, counted, type NewFinding } from './check-outcome.ts'
import type { CheckContext } from './context.ts'
import { type MaintenanceTask, recordedPolicy, retainCommandOf } from './maintenance-tasks.ts'

const SECONDS_A_DAY = 86_400

export async function checkRetentionLag(context: CheckContext): Promise<CheckOutcome> {
  const { nowMs, partitions } = await context.partitions()
  const tasks = await context.tasks()
  const policy = policyInForce(context.options.keepMonths, recordedPolicy(tasks))
  if (!policy) return { message: 'no retention is in force' }
  const due = overdueMonths(partitions, policy, nowMs, ranLately(tasks))
  const rules = describePolicy(policy)
  return {
    message:
      due.length === 0 ? `up to date with ${rules}` : `${counted(due.length, 'month')} beyond ${rules}`,
    findings: due.map(month => lagFinding(month, policy, rules)),
    details: { keepMonths: policy.keepMonths ?? null, keepBytes: policy.keepBytes ?? null },
  }
}

function policyInForce(
  keepMonths: number | undefined,
  recorded: RetentionPolicy | undefined,
): RetentionPolicy | undefined {
  if (keepMonths === undefined) return recorded
  return { keepMonths, keepBytes: undefined, archiveDir: recorded?.archiveDir, includeRestored: false }
}

function ranLately(tasks: readonly MaintenanceTask[]): boolean {
  const seconds = tasks.find(({ task }) => task === 'retention')?.secondsSinceSuccess ?? null
  return seconds !== null && seconds <= SECONDS_A_DAY
}

/**
 * What has been due for a day. Of a rule by size it is not known since when a month is beyond it: it was seen to when the
 * retention succeeded within that day.
 */
function overdueMonths(
  partitions: readonly AlertPartition[],
  policy: RetentionPolicy,
  nowMs: number,
  isSizeSeenTo: boolean,
): readonly AlertPartition[] {
  const rules = isSizeSeenTo ? { ...policy, keepBytes: undefined } : policy
  const aDayAgo = new Date(nowMs - DAY_MS).toISOString()
  return planRetention(partitions, rules, aDayAgo).filter(({ state }) => state === 'attached')
}

function describePolicy({ keepMonths, keepBytes }: RetentionPolicy): string {
  return [
    ...(keepMonths === undefined ? [] : [`keepMonths ${keepMonths}`]),
    ...(keepBytes === undefined ? [] : [`keepBytes ${keepBytes}`]),
  ].join(', ')
}

function lagFinding(
  { partition, from, to, bytes }: AlertPartition,
  policy: RetentionPolicy,
  rules: string,
): NewFinding {
  return {
    subject: partition,
    message: `${partition} should have been taken out more than a day ago (${rules}), and still takes ${counted(bytes, 'byte')}: the retention does not run, or fails`,
    mend: retainCommandOf(policy),
    details: { from, to, bytes },
  }
}

interface OpenRetirement {
  readonly partition: string
  readonly startedAt: string
  readonly isOld: boolean
  readonly isGone: boolean
}

const READ_OPEN_RETIREMENTS = `
  SELECT
    partition_name,
    ${selectTimestamp('started_at')},
    started_at < now() - INTERVAL '1 day' AS is_old,
    to_regclass(quote_ident(partition_name)) IS NULL AS is_gone
  FROM alert_partition_retirements
  WHERE dropped_at IS NULL
    AND cancelled_at IS NULL
  ORDER BY range_from, partition_name COLLATE "C"`

interface RetirementRow {
  readonly partition_name: string
  readonly started_at: string
  readonly is_old: boolean
  readonly is_gone: boolean
}

export async function checkUnfinishedRetirement(context: CheckContext): Promise<CheckOutcome> {
  const open = await context.ask(readOpenRetirements)
  const { partitions } = await context.partitions()
  const policy = recordedPolicy(await context.tasks())
  const stateOf = (name: string) => partitions.find(({ partition }) => partition === name)?.state
  // Without a folder for archives, to be a table of its own is where a month's way ends.
  const isAtItsEnd = ({ partition }: OpenRetirement) =>
    stateOf(partition) === 'detached' && policy?.archiveDir === undefined
  const unfinished = open.filter(each => each.isGone || (each.isOld && !isAtItsEnd(each)))
  const kept = open.filter(each => !each.isGone && isAtItsEnd(each)).length
  return {
    message: [
      unfinished.length === 0 ? 'none' : counted(unfinished.length, 'month'),
      ...(kept === 0 ? [] : [`${counted(kept, 'month')} detached and kept as tables`]),
    ].join('; '),
    findings: unfinished.map(each => retirementFinding(each, stateOf(each.partition), policy)),
    details: { open: open.length, keptAsTables: kept },
  }
}

async function readOpenRetirements(transaction: QueryRunner): Promise<readonly OpenRetirement[]> {
  const { rows } = await transaction.query<RetirementRow>(READ_OPEN_RETIREMENTS)
  return rows.map(row => ({
    partition: row.partition_name,
    startedAt: timestampFromRow(row.started_at),
    isOld: row.is_old,
    isGone: row.is_gone,
  }))
}

function retirementFinding(
  { partition, startedAt, isGone }: OpenRetirement,
  state: AlertPartition['state'] | undefined,
  policy: RetentionPolicy | undefined,
): NewFinding {
  const details = { startedAt, state: state ?? null }
  if (isGone) {
    return {
      subject: partition,
      message: `${partition} was on its way out when somebody else dropped or renamed its table: it was not archived by the retention`,
      mend: cancelSql(partition),
      details,
    }
  }
  return {
    subject: partition,
    message: `${partition} has been on its way out since ${startedAt} (${state ?? 'not found'}): the retention does not run, or fails, and its alerts are in no query meanwhile`,
    mend: policy ? retainCommandOf(policy) : withoutPolicy(partition, state),
    details,
  }
}

function withoutPolicy(partition: string, state: AlertPartition['state'] | undefined): string {
  return state === 'detaching' ? 'tripwire-storage partitions mend' : cancelSql(partition)
}

/** Forgets that the month was on its way out. */
function cancelSql(partition: string): string {
  const name = `'${partition.replaceAll("'", "''")}'`
  return `UPDATE alert_partition_retirements SET cancelled_at = now() WHERE partition_name = ${name} AND dropped_at IS NULL AND cancelled_at IS NULL;`
}
