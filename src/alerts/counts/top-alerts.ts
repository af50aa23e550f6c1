import type { HostAlertCount, RuleAlertCount } from '../../model/alert-counts.ts'
import { parseInteger, parseObject } from '../../model/input.ts'
import type { CallLimits } from '../../pg/call-limits.ts'
import type { Database } from '../../pg/database.ts'
import { integerFromRow } from '../../pg/row-values.ts'
import { parseCountSpan, SPAN_MEMBERS } from './count-span.ts'
import { inCountTransaction } from './count-transaction.ts'
import { countAlertsSql } from './exact-counts.ts'

export const DEFAULT_TOP_LIMIT = 10
const LARGEST_TOP_LIMIT = 10_000

interface TopRow {
  readonly value: string
  readonly alerts: string
}

/**
 * The hosts with the most alerts, exactly as the rows are at this moment.
 * @throws InvalidInputError
 */
export async function topAlertHosts(
  db: Database,
  query: unknown,
  limits: CallLimits,
): Promise<readonly HostAlertCount[]> {
  const rows = await readTop(db, query, 'hostId', limits)
  return rows.map(({ value, alerts }) => ({ hostId: value, alerts: integerFromRow('alerts', alerts) }))
}

/**
 * The rules with the most alerts, exactly as the rows are at this moment.
 * @throws InvalidInputError
 */
export async function topAlertRules(
  db: Database,
  query: unknown,
  limits: CallLimits,
): Promise<readonly RuleAlertCount[]> {
  const rows = await readTop(db, query, 'ruleName', limits)
  return rows.map(({ value, alerts }) => ({ ruleName: value, alerts: integerFromRow('alerts', alerts) }))
}

async function readTop(
  db: Database,
  query: unknown,
  groupBy: 'hostId' | 'ruleName',
  limits: CallLimits,
): Promise<readonly TopRow[]> {
  const given = parseObject('query', query, [...SPAN_MEMBERS, 'limit'])
  const span = parseCountSpan(given)
  const limit = parseInteger('query.limit', given.limit ?? DEFAULT_TOP_LIMIT, 1, LARGEST_TOP_LIMIT)
  const request = { ...span, bucket: null, groupBy }
  const { rows } = await inCountTransaction(db, request, limits, (transaction, partitions) => {
    const { sql, values } = countAlertsSql(request, partitions)
    return transaction.query<TopRow>(
      `
  WITH ${sql}
  SELECT
    value,
    sum(alerts) AS alerts
  FROM counted
  GROUP BY value
  HAVING sum(alerts) <> 0
  ORDER BY sum(alerts) DESC, value COLLATE "C"
  LIMIT $${values.length + 1}`,
      [...values, limit],
    )
  })
  return rows
}
