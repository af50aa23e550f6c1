import { DatabaseError } from '../errors.ts'
import type { AlertPartition } from '../model/partition.ts'
import { attachedMonths } from '../partitions/coverage.ts'
import type { QueryRunner } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { integerFromRow } from '../pg/row-values.ts'
import { SQLSTATE } from '../pg/sqlstate.ts'
import { type CheckOutcome, counted, countedUpTo, type NewFinding } from './check-outcome.ts'
import type { CheckContext } from './context.ts'
import { moveMisplacedSql } from './misplaced-alerts.ts'

/** Beyond this, alerts are not counted: it is enough to know that there are many. */
const MOST_COUNTED = 10_000
/** A table of this size is looked through in a moment. */
const CHEAP_BYTES = 16_777_216
const TOO_LARGE = 'it is too large to be looked through in a moment'

export async function checkDefaultPartition(context: CheckContext): Promise<CheckOutcome> {
  const { partitions } = await context.partitions()
  const found = partitions.find(({ isDefault }) => isDefault)
  if (!found) return { message: 'none' }
  const { partition } = found
  const count = await countOrReason(context, transaction => countRows(transaction, partition))
  const isCounted = typeof count === 'number'
  const rows = isCounted
    ? countedUpTo(count, MOST_COUNTED, 'alert')
    : `about ${counted(found.rows, 'alert')} (not counted: ${count.reason})`
  return {
    message: `${partition} holds ${rows}`,
    findings: [
      {
        subject: partition,
        message: `${partition} is a DEFAULT partition and holds ${rows}: it takes the alerts of every month that is missing, keeps that month from being made, and forbids to detach a month while writers go on`,
        mend: await moveMisplacedSql(context),
        details: { rows: isCounted ? count : found.rows, isExact: isCounted && count <= MOST_COUNTED },
      },
    ],
  }
}

async function countRows(transaction: QueryRunner, partition: string): Promise<number> {
  const { rows } = await transaction.query<{ count: string }>(`
  SELECT count(*) AS count
  FROM (
    SELECT
    FROM ${quoteIdentifier(partition)}
    LIMIT ${MOST_COUNTED + 1}
  ) AS counted`)
  return integerFromRow('count', rows[0]?.count ?? '0')
}

export async function checkPendingDetach(context: CheckContext): Promise<CheckOutcome> {
  const { partitions } = await context.partitions()
  const pending = partitions.filter(({ state }) => state === 'detaching')
  return {
    message: pending.length === 0 ? 'none' : counted(pending.length, 'partition'),
    findings: pending.map(({ partition }) => ({
      subject: partition,
      message: `the detachment of ${partition} was cut half way: no query sees its alerts, it takes none, and no other partition can be detached until it is finished; the next maintenance does that`,
      mend: 'tripwire-storage partitions mend',
    })),
  }
}

export async function checkIncompletePartition(context: CheckContext): Promise<CheckOutcome> {
  const { partitions } = await context.partitions()
  const incomplete = attachedMonths(partitions).filter(
    // Those that are no tables have a check of their own.
    ({ isComplete, isTable }) => isTable && !isComplete,
  )
  const findings: NewFinding[] = []
  for (const each of incomplete) findings.push(await incompleteFinding(context, each))
  return {
    message: incomplete.length === 0 ? 'none' : counted(incomplete.length, 'partition'),
    findings,
  }
}

interface Lacks {
  readonly uniqueIndex: boolean
  readonly triggers: boolean
}

const READ_LACKS = `
  SELECT
    NOT alert_partition_has_unique_index($1::regclass) AS "uniqueIndex",
    NOT alert_partition_has_triggers($1::regclass) AS triggers`

async function incompleteFinding(
  context: CheckContext,
  { partition, bytes }: AlertPartition,
): Promise<NewFinding> {
  const lacks = await context.ask(
    async transaction => (await transaction.query<Lacks>(READ_LACKS, [quoteIdentifier(partition)])).rows[0],
  )
  const duplicates =
    bytes <= CHEAP_BYTES
      ? await countOrReason(context, transaction => countDuplicates(transaction, partition))
      : { reason: TOO_LARGE }
  const count = typeof duplicates === 'number' ? duplicates : null
  const missing = [
    ...(lacks?.uniqueIndex ? ['the unique index, so a resent alert is stored twice'] : []),
    ...(lacks?.triggers ? ['the triggers, so an alert written to it directly may name no host'] : []),
  ]
  return {
    subject: partition,
    message: `${partition} was made by hand and lacks ${missing.join(', and ')}; ${describeDuplicates(partition, duplicates)}`,
    mend: `tripwire-storage partitions mend${count ? ' --remove-duplicates' : ''}`,
    details: {
      lacksUniqueIndex: lacks?.uniqueIndex ?? null,
      lacksTriggers: lacks?.triggers ?? null,
      duplicates: count,
    },
  }
}

function describeDuplicates(partition: string, duplicates: number | NotCounted): string {
  if (typeof duplicates !== 'number') {
    return `whether alerts stand in it twice is not known, because ${duplicates.reason}: mend says so and then needs --remove-duplicates, or ask with: ${duplicatesSql(partition)}`
  }
  if (duplicates === 0) return 'no alert stands in it twice'
  return `${countedUpTo(duplicates, MOST_COUNTED, 'alert stands', 'alerts stand')} in it twice, of which the first is kept`
}

function duplicatesSql(partition: string): string {
  return `SELECT alert_id, host_id, count(*) FROM ${quoteIdentifier(partition)} GROUP BY alert_id, host_id HAVING count(*) > 1`
}

async function countDuplicates(transaction: QueryRunner, partition: string): Promise<number> {
  const { rows } = await transaction.query<{ count: string }>(`
  SELECT count(*) AS count
  FROM (
    SELECT
    FROM ${quoteIdentifier(partition)}
    GROUP BY alert_id, host_id
    HAVING count(*) > 1
    LIMIT ${MOST_COUNTED + 1}
  ) AS twice`)
  return integerFromRow('count', rows[0]?.count ?? '0')
}

export async function checkMisalignedPartition(context: CheckContext): Promise<CheckOutcome> {
  const { partitions } = await context.partitions()
  const crooked = attachedMonths(partitions).filter(({ isMonth }) => !isMonth)
  const mend = await moveMisplacedSql(context)
  return {
    message: crooked.length === 0 ? 'none' : counted(crooked.length, 'partition'),
    findings: crooked.map(({ partition, from, to }) => ({
      subject: partition,
      message: `${partition} holds ${from ?? 'everything'} to ${to ?? 'the end of time'}, which is not one month in UTC: its neighbours cannot be made as months, and retention leaves it alone`,
      mend,
      details: { from, to },
    })),
  }
}

/** Why the rows of a partition were not counted. What is known of it otherwise is not kept back for that. */
interface NotCounted {
  readonly reason: string
}

const OUT_OF_TIME: ReadonlySet<string> = new Set([SQLSTATE.queryCanceled, SQLSTATE.lockNotAvailable])

/** A partition cannot be asked by everybody who may ask `alerts`, and may be too large to be looked through in time. */
async function countOrReason(
  { ask }: CheckContext,
  work: (transaction: QueryRunner) => Promise<number>,
): Promise<number | NotCounted> {
  try {
    return await ask(work)
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState === undefined) throw error
    return { reason: OUT_OF_TIME.has(error.sqlState) ? TOO_LARGE : error.message }
  }
}
