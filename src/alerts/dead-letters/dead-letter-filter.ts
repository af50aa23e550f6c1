import { InvalidInputError } from '../../errors.ts'
import { parseInteger, parseObject, parseOptional, parseText, parseUuid } from '../../model/input.ts'
import type { SqlValue } from '../../pg/database.ts'

const LARGEST_LIMIT = 10_000
const LONGEST_REASON = 100

/** The condition of a filter in SQL, and its parameters. The limit is the last of them. */
export interface DeadLetterCondition {
  readonly sql: string
  readonly values: readonly SqlValue[]
}

/** @throws InvalidInputError */
export function parseDeadLetterFilter(filter: unknown, defaultLimit: number): DeadLetterCondition {
  const given = parseObject('filter', filter, ['deadLetterIds', 'hostId', 'reason', 'limit'])
  const ids = parseOptional(given.deadLetterIds, parseIds)
  const hostId = parseOptional(given.hostId, id => parseUuid('filter.hostId', id))
  const reason = parseOptional(given.reason, name => parseText('filter.reason', name, LONGEST_REASON))
  const limit = parseInteger('filter.limit', given.limit ?? defaultLimit, 1, LARGEST_LIMIT)

  const values: SqlValue[] = []
  const conditions: string[] = []
  if (ids !== null) conditions.push(`dead_letter_id = ANY ($${values.push(ids)}::uuid[])`)
  if (hostId !== null) conditions.push(`host_id = $${values.push(hostId)}`)
  if (reason !== null) conditions.push(`reason = $${values.push(reason)}`)
  const where = conditions.length > 0 ? `WHERE ${conditions.join('\n    AND ')}` : ''
  const sql = `${where}
  ORDER BY alert_dead_letters.first_attempt_at, dead_letter_id
  LIMIT $${values.push(limit)}`
  return { sql, values }
}

function parseIds(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new InvalidInputError('filter.deadLetterIds', value, 'a list of UUIDs')
  return value.map((id, index) => parseUuid(`filter.deadLetterIds[${index}]`, id))
}
