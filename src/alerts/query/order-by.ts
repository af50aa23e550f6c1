import type { AlertOrder } from '../../model/alert.ts'

/** What orders alerts, each of which has another. */
export const KEY_COLUMNS = ['received_at', 'alert_id', 'host_id'] as const

export function directionOf(order: AlertOrder): 'ASC' | 'DESC' {
  return order === 'newest' ? 'DESC' : 'ASC'
}

/** The plain columns of a table or an alias, not the text that is selected under the same names. */
export function orderBy(
  order: AlertOrder,
  table = 'alerts',
  columns: readonly string[] = KEY_COLUMNS,
): string {
  return columns.map(column => `${table}.${column} ${directionOf(order)}`).join(', ')
}
