/** The SQL of a page: docs/design/alert-queries.md says which index serves what, and why it is written in this way. */
import type { AlertOrder } from '../../model/alert.ts'
import type { SqlValue } from '../../pg/database.ts'
import { ALERT_COLUMNS } from '../alert-row.ts'
import { afterKey } from './after-key.ts'
import type { AlertKey } from './alert-cursor.ts'
import { type AlertFilter, filterConditions } from './alert-filter.ts'
import type { AlertSpan } from './alert-span.ts'
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
  const spanConditions = timeConditions(span, values)
  const parts = splitFilter(span.filter).map(filter => [
    ...spanConditions,
    ...filterConditions(filter, values),
    ...(after ? afterKey(after, span.order, onlyHost(filter), values) : []),
  ])
  const [only] = parts
  const source = parts.length === 1 && only ? selectFrom(only) : mergeOf(parts, span.order, rows + offset)
  const sql = `
  SELECT ${ALERT_COLUMNS}
  FROM ${source}
  ORDER BY ${orderBy(span.order)}
  LIMIT $${values.push(rows)}
  OFFSET $${values.push(offset)}`
  return { sql, values }
}

function selectFrom(conditions: readonly string[]): string {
  return conditions.length === 0 ? 'alerts' : `alerts\n  WHERE ${conditions.join('\n    AND ')}`
}

/**
 * Each part reads its own index in order, and the server merges them, reading no further in each than the page needs. The LIMIT of
 * a part keeps the planner from taking it apart again.
 */
function mergeOf(parts: readonly (readonly string[])[], order: AlertOrder, rows: number): string {
  const selects = parts.map(
    conditions => `(
    SELECT *
    FROM ${selectFrom(conditions)}
    ORDER BY ${orderBy(order)}
    LIMIT ${rows}
  )`,
  )
  return `(
  ${selects.join('\n  UNION ALL\n  ')}
  ) AS alerts`
}

/** The plain columns, not the text that is selected under the same names. */
function orderBy(order: AlertOrder): string {
  const direction = order === 'newest' ? 'DESC' : 'ASC'
  return ['received_at', 'alert_id', 'host_id'].map(column => `alerts.${column} ${direction}`).join(', ')
}

function timeConditions({ received, sensed }: AlertSpan, values: SqlValue[]): readonly string[] {
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
