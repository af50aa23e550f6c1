import type { CheckOutcome, NewFinding } from './check-outcome.ts'
import type { CheckContext } from './context.ts'
import { type MaintenanceTask, recordedPolicy, retainCommandOf } from './maintenance-tasks.ts'

const LONGEST_PAUSE_SECONDS = 86_400
const SECONDS_AN_HOUR = 3600

/** Each of them makes months ahead: the store's own, and that of any scheduler. */
const MONTH_MAKERS: ReadonlySet<string> = new Set(['maintenance', 'ensure_partitions'])
const ENSURE = 'tripwire-storage partitions ensure'

export async function checkMaintenance(context: CheckContext): Promise<CheckOutcome> {
  const tasks = await context.tasks()
  const makers = tasks.filter(({ task }) => MONTH_MAKERS.has(task))
  const last = makers
    .filter(({ secondsSinceSuccess }) => secondsSinceSuccess !== null)
    .toSorted((a, b) => Number(a.secondsSinceSuccess) - Number(b.secondsSinceSuccess))[0]
  const hours = last && Math.floor(Number(last.secondsSinceSuccess) / SECONDS_AN_HOUR)
  const isLate = !last || Number(last.secondsSinceSuccess) > LONGEST_PAUSE_SECONDS
  const message = last ? `${last.task} succeeded last at ${last.lastSuccessAt}` : 'it has never succeeded'
  return {
    message,
    findings: [
      ...(isLate ? [lateFinding(message, hours)] : []),
      ...tasks.flatMap(task => errorFinding(task, tasks)),
    ],
    details: { lastSuccessAt: last?.lastSuccessAt ?? null },
  }
}

function lateFinding(message: string, hours: number | undefined): NewFinding {
  const ago = hours === undefined ? '' : `, ${hours} hours ago`
  return {
    subject: null,
    message: `${message}${ago}: nobody makes months ahead; open a store, which does so every hour, or let a scheduler call ensure_alert_partitions()`,
    mend: ENSURE,
  }
}

function errorFinding(
  { task, lastError, lastRunAt }: MaintenanceTask,
  tasks: readonly MaintenanceTask[],
): readonly NewFinding[] {
  if (lastError === null) return []
  return [
    {
      subject: task,
      message: `the last run of ${task}, at ${lastRunAt}, failed: ${lastError}`,
      mend: rerunCommand(task, tasks),
      details: { lastError, lastRunAt },
    },
  ]
}

/** What runs a task again, which clears its error when it succeeds. */
function rerunCommand(task: string, tasks: readonly MaintenanceTask[]): string {
  if (task === 'ensure_partitions') return ENSURE
  const policy = task === 'retention' ? recordedPolicy(tasks) : undefined
  if (policy) return retainCommandOf(policy)
  return 'store.runMaintenance(), or wait for the next run of a store, every hour'
}
