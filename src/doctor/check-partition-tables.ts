import { quoteIdentifier } from '../pg/identifier.ts'
import { type CheckOutcome, counted, type NewFinding } from './check-outcome.ts'
import type { CheckContext } from './context.ts'
import { isMisplaced, moveMisplacedSql } from './misplaced-alerts.ts'
import { moveAlertsSql } from './move-alerts.ts'
import type { PartitionTable } from './partition-tables.ts'

export async function checkNotATable(context: CheckContext): Promise<CheckOutcome> {
  const found = (await context.partitionTables()).filter(({ kind, isPart }) => kind !== 'table' && !isPart)
  const findings: NewFinding[] = []
  for (const table of found) findings.push(await notATableFinding(context, table))
  return outcomeOf(findings)
}

async function notATableFinding(
  context: CheckContext,
  { partition, kind }: PartitionTable,
): Promise<NewFinding> {
  const what = kind === 'foreign' ? 'a foreign table' : 'partitioned itself'
  const { partitions } = await context.partitions()
  const isOneOfThem = partitions.some(each => each.partition === partition && isMisplaced(each))
  return {
    subject: partition,
    message: `${partition} is ${what}: the maintenance cannot give it the unique index, so an alert that is sent again is stored twice in it, and mending and retention pass it over; the mend makes its month anew as a table`,
    mend: isOneOfThem
      ? await moveMisplacedSql(context)
      : moveAlertsSql([{ partition, kind }], await context.alertColumns()),
    details: { kind },
  }
}

export async function checkForeignOwner(context: CheckContext): Promise<CheckOutcome> {
  const found = (await context.partitionTables()).filter(each => each.owner !== each.ownerOfAlerts)
  return outcomeOf(
    found.map(({ partition, name, owner, ownerOfAlerts }) => ({
      subject: partition,
      message: `${partition} belongs to ${owner}, and alerts to ${ownerOfAlerts}, who cannot mend, lock, detach or drop it: the maintenance and the retention fail on it`,
      mend: alterTable(name, `OWNER TO ${quoteIdentifier(ownerOfAlerts)}`),
      details: { owner, ownerOfAlerts },
    })),
  )
}

export async function checkUnloggedPartition(context: CheckContext): Promise<CheckOutcome> {
  const found = (await context.partitionTables()).filter(({ isUnlogged }) => isUnlogged)
  return outcomeOf(
    found.map(({ partition, name }) => ({
      subject: partition,
      message: `${partition} is UNLOGGED: a crash of the server empties it, and no replica and no backup of the log has its alerts; the mend writes all of it anew, holds off readers and writers meanwhile, and makes tails expire, which would not find these alerts any more`,
      mend: carefully(
        // First: what is written after the tails expired and before all is written anew would be missing in the next ones.
        `LOCK TABLE ${name} IN ACCESS EXCLUSIVE MODE;`,
        'SELECT expire_alert_tails();',
        `ALTER TABLE ${name} SET LOGGED;`,
      ),
    })),
  )
}

export async function checkDisabledTrigger(context: CheckContext): Promise<CheckOutcome> {
  const found = (await context.partitionTables()).filter(({ silentTriggers }) => silentTriggers.length > 0)
  return outcomeOf(
    found.map(({ partition, name, silentTriggers }) => ({
      subject: partition,
      message: `${silentTriggers.join(', ')} of ${partition} do not fire: an alert that is written to it directly may name no host, stand in another month already, or not be counted`,
      mend: alterTable(name, ...silentTriggers.map(trigger => `ENABLE TRIGGER ${trigger}`)),
      details: { triggers: silentTriggers },
    })),
  )
}

function alterTable(name: string, ...actions: readonly string[]): string {
  return carefully(...actions.map(action => `ALTER TABLE ${name} ${action};`))
}

/** Waits for nobody for long, and works where a session begins read-only. */
function carefully(...statements: readonly string[]): string {
  return ['BEGIN READ WRITE;', "SET LOCAL lock_timeout = '2s';", ...statements, 'COMMIT;'].join('\n')
}

function outcomeOf(findings: readonly NewFinding[]): CheckOutcome {
  return { message: findings.length === 0 ? 'none' : counted(findings.length, 'partition'), findings }
}
