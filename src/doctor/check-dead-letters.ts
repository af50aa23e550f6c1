import type { QueryRunner } from '../pg/database.ts'
import { integerFromRow, timestampFromRow } from '../pg/row-values.ts'
import { type CheckOutcome, countedUpTo, type NewFinding } from './check-outcome.ts'
import { type CheckContext, USE_INDEXES } from './context.ts'

const MOST_COUNTED = 10_000
const MOST_HOSTS = 10

interface Waiting {
  readonly reason: string
  readonly count: number
  readonly oldest: string
  /** Some of the hosts that they name. */
  readonly hostIds: readonly string[]
}

interface WaitingRow {
  readonly reason: string
  readonly count: string
  readonly oldest: string
  readonly hostIds: string
}

/** The oldest, in the order of their index: there may be millions. */
const READ_WAITING = `
  SELECT
    reason,
    count(*) AS count,
    to_json(min(first_attempt_at) AT TIME ZONE 'UTC') AS oldest,
    coalesce(json_agg(DISTINCT host_id) FILTER (WHERE host_id IS NOT NULL), '[]') AS "hostIds"
  FROM (
    SELECT
      reason,
      host_id,
      first_attempt_at
    FROM alert_dead_letters
    ORDER BY first_attempt_at, dead_letter_id
    LIMIT ${MOST_COUNTED + 1}
  ) AS waiting
  GROUP BY reason
  ORDER BY reason COLLATE "C"`

export async function checkDeadLetters({ ask }: CheckContext): Promise<CheckOutcome> {
  const waiting = await ask(readWaiting)
  const total = waiting.reduce((sum, { count }) => sum + count, 0)
  const isCut = total > MOST_COUNTED
  return {
    message: total === 0 ? 'none' : `${countedUpTo(total, MOST_COUNTED, 'dead letter')} waiting`,
    findings: waiting.map(each => deadLetterFinding(each, isCut)),
    details: { waiting: Math.min(total, MOST_COUNTED), isAtLeast: isCut },
  }
}

async function readWaiting(transaction: QueryRunner): Promise<readonly Waiting[]> {
  await transaction.runScript(USE_INDEXES)
  const { rows } = await transaction.query<WaitingRow>(READ_WAITING)
  return rows.map(row => ({
    reason: row.reason,
    count: integerFromRow('count', row.count),
    oldest: timestampFromRow(row.oldest),
    hostIds: textsOf(JSON.parse(row.hostIds)).slice(0, MOST_HOSTS),
  }))
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter(each => typeof each === 'string') : []
}

function deadLetterFinding({ reason, count, oldest, hostIds }: Waiting, isCut: boolean): NewFinding {
  const number = isCut ? `at least ${count.toLocaleString('en-US')}` : count.toLocaleString('en-US')
  return {
    subject: reason,
    message: `${number} alerts were refused by the database for ${reason}, the oldest at ${oldest}: they are in no query until they are handed in again`,
    mend: mendOf(reason, hostIds),
    details: { count, isAtLeast: isCut, oldest, hostIds },
  }
}

/** What docs/operations/is-anything-lost.md says of each reason. */
function mendOf(reason: string, hostIds: readonly string[]): string {
  const redrive = `tripwire-storage dead-letters redrive --reason ${reason}`
  if (reason !== 'UNKNOWN_HOST') {
    return [
      `tripwire-storage dead-letters --reason ${reason}  # look, mend the cause, and then one of:`,
      redrive,
      `tripwire-storage dead-letters discard --reason ${reason}`,
    ].join('\n')
  }
  return [...hostIds.map(id => `tripwire-storage hosts add NAME --id ${id}`), redrive].join('\n')
}
