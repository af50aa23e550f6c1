import { DatabaseError } from '../errors.ts'
import { parseInteger, parseObject } from '../model/input.ts'
import type { EnsuredPartition, MaintenanceFailure } from '../model/partition.ts'
import type { QueryRunner } from '../pg/database.ts'
import { selectTimestamp, timestampFromRow } from '../pg/row-values.ts'

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

const ENSURE_PARTITIONS = `
  SELECT
    partition_name,
    ${selectTimestamp('range_from')},
    ${selectTimestamp('range_to')},
    made,
    problem_state,
    problem
  FROM ensure_alert_partitions($1)`

export interface EnsureResult {
  readonly ensured: readonly EnsuredPartition[]
  readonly failures: readonly (MaintenanceFailure & { readonly error: DatabaseError })[]
}

/** Makes this month and `monthsAhead` more. One that cannot be made does not stop the others. */
export async function ensurePartitions(db: QueryRunner, monthsAhead: number): Promise<EnsureResult> {
  const { rows } = await db.query<EnsuredRow>(ENSURE_PARTITIONS, [monthsAhead])
  return {
    ensured: rows
      .filter(row => row.problem === null)
      .map(row => ({
        partition: row.partition_name,
        from: timestampFromRow(row.range_from),
        to: timestampFromRow(row.range_to),
        made: row.made,
      })),
    failures: rows.flatMap(row =>
      row.problem === null
        ? []
        : [{ action: 'ensure', partition: row.partition_name, error: errorOf(row, row.problem) }],
    ),
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
