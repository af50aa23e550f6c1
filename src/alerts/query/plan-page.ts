/** The SQL of a page: docs/design/alert-queries.md says which index serves what, and why it is written in this way. */
import type { AlertOrder } from '../../model/alert.ts'
import type { SqlValue } from '../../pg/database.ts'
import { ALERT_COLUMNS } from '../alert-row.ts'
import { afterKey } from './after-key.ts'
import type { AlertKey } from './alert-cursor.ts'
import { type AlertFilter, filterConditions } from './alert-filter.ts'
import type { AlertSpan } from './alert-span.ts'
import { orderBy } from './order-by.ts'
import { listOfFilter, selectFromList } from './select-from-list.ts'
import { IS_SKEWED, type PartOfSpan, splitBySkew } from './split-by-skew.ts'
import { splitFilter } from './split-filter.ts'

export interface PageRequest {
  readonly span: AlertSpan
  /** The alert after which the page begins. */
  readonly after: AlertKey | null
  /** How many rows to read, at the most. */
  readonly rows: number
  /** How many rows to pass over before. */
  readonly offset: number
}

export interface PageStatement {
  readonly sql: string
  readonly values: readonly SqlValue[]
}

export function planPage({ span, after, rows, offset }: PageRequest): PageStatement {
  const values: SqlValue[] = []
  const page = { after, rows: rows + offset }
  const parts = splitBySkew(span).flatMap(part => selectsOf(part, page, values))
  const sql = `
  SELECT ${ALERT_COLUMNS}
  FROM ${mergeOf(parts, span.order, page.rows)}
  ORDER BY ${orderBy(span.order)}
  LIMIT $${values.push(rows)}
  OFFSET $${values.push(offset)}`
  return { sql, values }
}

function selectsOf(
  { span, isSkewed }: PartOfSpan,
  { after, rows }: Pick<PageRequest, 'after' | 'rows'>,
  values: SqlValue[],
): readonly string[] {
  const ofSpan = timeConditions(span, values)
  if (isSkewed) ofSpan.push(IS_SKEWED)
  const conditionsOf = (filter: AlertFilter, hostId: string | undefined) => [
    ...ofSpan,
    ...filterConditions(filter, values),
    ...(after ? afterKey(after, span.order, hostId, values) : []),
  ]
  // Few are, so whatever else is asked for is checked on them.
  if (isSkewed) return [selectFrom(conditionsOf(span.filter, onlyHost(span.filter)))]
  return splitFilter(span.filter).map(part => {
    const list = listOfFilter(part)
    const conditions = conditionsOf(list?.rest ?? part, onlyHost(part))
    return list ? selectFromList(list, conditions, { span, after, rows }, values) : selectFrom(conditions)
  })
}

function selectFrom(conditions: readonly string[]): string {
  const where = conditions.length === 0 ? 'true' : conditions.join('\n      AND ')
  return `
    SELECT *
    FROM alerts
    WHERE ${where}`
}

/**
 * Each part reads its own index in order, and the server merges them, reading no further in each than the page needs. The LIMIT of
 * a part keeps the planner from taking it apart again.
 */
function mergeOf(parts: readonly string[], order: AlertOrder, rows: number): string {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return `(${only}\n  ) AS alerts`
  const selects = parts.map(
    part => `(
    SELECT *
    FROM (${part}
    ) AS alerts
    ORDER BY ${orderBy(order)}
    LIMIT ${rows}
  )`,
  )
  return `(
  ${selects.join('\n  UNION ALL\n  ')}
  ) AS alerts`
}

function timeConditions({ received, sensed }: AlertSpan, values: SqlValue[]): string[] {
  const conditions: string[] = []
  if (received.from !== null) conditions.push(`received_at >= $${values.push(received.from)}::timestamptz`)
  if (received.to !== null) conditions.push(`received_at < $${values.push(received.to)}::timestamptz`)
  if (sensed.from !== null) conditions.push(`timestamp >= $${values.push(sensed.from)}::timestamptz`)
  if (sensed.to !== null) conditions.push(`timestamp < $${values.push(sensed.to)}::timestamptz`)
  return conditions
}

function onlyHost({ hostIds }: AlertFilter): string | undefined {
  return hostIds?.length === 1 ? hostIds[0] : undefined
}
