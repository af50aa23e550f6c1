import type { AlertOrder } from '../../model/alert.ts'

export function directionOf(order: AlertOrder): 'ASC' | 'DESC' {
  return order === 'newest' ? 'DESC' : 'ASC'
}

/** The plain columns of a table or an alias, not the text that is selected under the same names. */
export function orderBy(order: AlertOrder, table = 'alerts'): string {
  return ['received_at', 'alert_id', 'host_id']
    .map(column => `${table}.${column} ${directionOf(order)}`)
    .join(', ')
}
