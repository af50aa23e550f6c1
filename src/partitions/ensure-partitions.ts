import { DatabaseError } from '../errors.ts'
import { parseInteger, parseObject } from '../model/input.ts'
import type { EnsuredPartition, MaintenanceFailure } from '../model/partition.ts'
import type { QueryRunner } from '../pg/database.ts'
import { selectTimestamp, timestampFromRow } from '../pg/row-values.ts'
import { recordMaintenance } from './record-maintenance.ts'

/** How many months are made ahead of the present one. */
export const DEFAULT_MONTHS_AHEAD = 3
export const MOST_MONTHS_AHEAD = 120

interface EnsuredRow {
  readonly partition_name: string
  readonly range_from: string
  readonly range_to: string
  readonly made: boolean
  readonly problem_state: string | null
  readonly problem: string | null
}

const ENSURE_MONTH_AHEAD = `
  SELECT
    partition_name,
    ${selectTimestamp('range_from')},
    ${selectTimestamp('range_to')},
    made,
    problem_state,
    problem
  FROM ensure_alert_month_ahead($1)`

export interface EnsureResult {
  readonly ensured: readonly EnsuredPartition[]
  readonly failures: readonly (MaintenanceFailure & { readonly error: DatabaseError })[]
}

/**
 * Makes this month and `monthsAhead` more, each in a transaction of its own, so that none keeps its locks while another waits.
 * One that cannot be made does not stop the others.
 */
export async function ensurePartitions(db: QueryRunner, monthsAhead: number): Promise<EnsureResult> {
  const ensured: EnsuredPartition[] = []
  const failures: (MaintenanceFailure & { readonly error: DatabaseError })[] = []
  for (let ahead = 0; ahead <= monthsAhead; ahead++) {
    const { rows } = await db.query<EnsuredRow>(ENSURE_MONTH_AHEAD, [ahead])
    for (const row of rows) {
      const partition = row.partition_name
      if (row.problem === null) ensured.push(ensuredFromRow(row))
      else failures.push({ action: 'ensure', partition, error: errorOf(row, row.problem) })
    }
  }
  await recordMaintenance(db, 'ensure_partitions', failures, { monthsAhead })
  return { ensured, failures }
}

function ensuredFromRow(row: EnsuredRow): EnsuredPartition {
  return {
    partition: row.partition_name,
    from: timestampFromRow(row.range_from),
    to: timestampFromRow(row.range_to),
    made: row.made,
  }
}

function errorOf(row: EnsuredRow, problem: string): DatabaseError {
  return new DatabaseError('QUERY_FAILED', `${row.partition_name} was not made: ${problem}`, {
    sqlState: row.problem_state ?? undefined,
    hint: 'see what is in its way with: tripwire-storage doctor',
  })
}

/**
 * Makes this month and so many ahead, and says which there were already.
 * @throws DatabaseError of the first month that could not be made. The others are there.
 */
export async function ensurePartitionsOrThrow(
  db: QueryRunner,
  options: unknown,
): Promise<readonly EnsuredPartition[]> {
  const given = parseObject('options', options, ['monthsAhead'])
  const { ensured, failures } = await ensurePartitions(db, parseMonthsAhead(given.monthsAhead))
  const [first] = failures
  if (first) throw first.error
  return ensured
}

export function parseMonthsAhead(value: unknown): number {
  return parseInteger('monthsAhead', value ?? DEFAULT_MONTHS_AHEAD, 0, MOST_MONTHS_AHEAD)
}
