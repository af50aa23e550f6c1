import type { RetentionPolicy } from '../partitions/retention/retention-policy.ts'
import { parseRetention } from '../partitions/retention/retention-policy.ts'
import type { QueryRunner } from '../pg/database.ts'
import { selectTimestamp, timestampFromRow } from '../pg/row-values.ts'

/** What the maintenance wrote down of one of its tasks. */
export interface MaintenanceTask {
  readonly task: string
  readonly lastRunAt: string
  readonly lastSuccessAt: string | null
  /** By the clock of the server; `null` when it never succeeded. */
  readonly secondsSinceSuccess: number | null
  readonly lastError: string | null
  readonly settings: unknown
}

interface TaskRow {
  readonly task: string
  readonly last_run_at: string
  readonly last_success_at: string | null
  readonly secondsSinceSuccess: string | null
  readonly last_error: string | null
  readonly settings: string
}

const READ_TASKS = `
  SELECT
    task,
    ${selectTimestamp('last_run_at')},
    ${selectTimestamp('last_success_at')},
    extract(epoch FROM now() - last_success_at) AS "secondsSinceSuccess",
    last_error,
    settings
  FROM maintenance_tasks
  ORDER BY task COLLATE "C"`

export async function readMaintenanceTasks(transaction: QueryRunner): Promise<readonly MaintenanceTask[]> {
  const { rows } = await transaction.query<TaskRow>(READ_TASKS)
  return rows.map(row => ({
    task: row.task,
    lastRunAt: timestampFromRow(row.last_run_at),
    lastSuccessAt: row.last_success_at === null ? null : timestampFromRow(row.last_success_at),
    secondsSinceSuccess: row.secondsSinceSuccess === null ? null : Number(row.secondsSinceSuccess),
    lastError: row.last_error,
    settings: JSON.parse(row.settings),
  }))
}

/** How many months ahead are made, as far as it is written down. */
export function recordedMonthsAhead(tasks: readonly MaintenanceTask[]): number {
  const recorded = tasks.map(({ settings }) => member(settings, 'monthsAhead'))
  return Math.max(0, ...recorded.filter(value => typeof value === 'number'))
}

/** For how many hours the journal of alerts is kept, as far as it is written down; `undefined` when it was never pruned. */
export function recordedKeepHours(tasks: readonly MaintenanceTask[]): number | undefined {
  const keepHours = member(tasks.find(({ task }) => task === 'prune_journal')?.settings, 'keepHours')
  return typeof keepHours === 'number' ? keepHours : undefined
}

/**
 * The policy of the retention that ran last; `undefined` when none ran.
 * @throws InvalidInputError when what is written down is no policy.
 */
export function recordedPolicy(tasks: readonly MaintenanceTask[]): RetentionPolicy | undefined {
  const settings = tasks.find(({ task }) => task === 'retention')?.settings
  if (settings === undefined) return undefined
  return parseRetention('maintenance_tasks.settings', {
    keepMonths: member(settings, 'keepMonths'),
    keepBytes: member(settings, 'keepBytes'),
    archiveDir: member(settings, 'archiveDir'),
  })
}

function member(settings: unknown, name: string): unknown {
  return new Map<string, unknown>(Object.entries(Object(settings))).get(name)
}

/** The command that applies a policy. */
export function retainCommandOf({ keepMonths, keepBytes, archiveDir }: RetentionPolicy): string {
  return [
    'tripwire-storage partitions retain',
    ...(keepMonths === undefined ? [] : [`--keep-months ${keepMonths}`]),
    ...(keepBytes === undefined ? [] : [`--keep-bytes ${keepBytes}`]),
    ...(archiveDir === undefined ? [] : [`--archive-dir ${quoteForShell(archiveDir)}`]),
  ].join(' ')
}

const PLAIN_WORD = /^[\w@%+=:,./-]+$/

/** As one word for a POSIX shell. */
export function quoteForShell(text: string): string {
  return PLAIN_WORD.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
