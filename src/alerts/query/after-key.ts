/**
 * The conditions of what comes after an alert.
 *
 * Two bounds are needed: one of the whole key, where the page begins, and one of the moment alone, because by the former no partition
 * would be left out. A B-tree begins at one of its bounds and checks the other at each entry. It takes `<=` before `<`, and `>` before
 * `>=`; began it at the moment, it would pass over all alerts that share it, again for each page. So the bound of the key has to be the
 * one that is taken: `<=` on the way to the oldest, with the key just before the alert's, and `>` on the way to the newest.
 */
import type { AlertOrder } from '../../model/alert.ts'
import type { SqlValue } from '../../pg/database.ts'
import type { AlertKey } from './alert-cursor.ts'

/**
 * @param hostId where all alerts are of this host. Two columns decide then, which is what the index of hosts is ordered by.
 */
export function afterKey(
  after: AlertKey,
  order: AlertOrder,
  hostId: string | undefined,
  values: SqlValue[],
): readonly string[] {
  const { receivedAt, alertId } = after
  if (order === 'oldest') {
    const moment = `received_at >= ${placeMoment(receivedAt, values)}`
    if (hostId === undefined) return [moment, compareKeys('>', receivedAt, [alertId, after.hostId], values)]
    // The same id may stand under this host, too, behind the alert or before it.
    const last = hostId > after.hostId ? keyBefore([alertId]) : [alertId]
    return last === undefined ? [moment] : [moment, compareKeys('>', receivedAt, last, values)]
  }
  const isOtherBehind = hostId !== undefined && hostId < after.hostId
  const first = isOtherBehind
    ? [alertId]
    : keyBefore(hostId === undefined ? [alertId, after.hostId] : [alertId])
  if (first === undefined) return [isEarlier(receivedAt, values)]
  return [isNotLater(receivedAt, values), compareKeys('<=', receivedAt, first, values)]
}

/** @param ids of the alert, and of the host where that counts. */
function compareKeys(
  operator: '>' | '<=',
  receivedAt: string,
  ids: readonly string[],
  values: SqlValue[],
): string {
  const columns = ['received_at', 'alert_id', 'host_id'].slice(0, 1 + ids.length)
  const key = [placeMoment(receivedAt, values), ...ids.map(id => `$${values.push(id)}::uuid`)]
  return `(${columns.join(', ')}) ${operator} (${key.join(', ')})`
}

function isEarlier(receivedAt: string, values: SqlValue[]): string {
  return `received_at < ${placeMoment(receivedAt, values)}`
}

/** With `<` where there is a next moment. */
function isNotLater(receivedAt: string, values: SqlValue[]): string {
  const next = microsecondAfter(receivedAt)
  return next === undefined ? `received_at <= ${placeMoment(receivedAt, values)}` : isEarlier(next, values)
}

/** A parameter. Years before Christ come without the zone, which is UTC. */
export function placeMoment(moment: string, values: SqlValue[]): string {
  return `$${values.push(moment.replace(' BC', 'Z BC'))}::timestamptz`
}

const LAST_SECOND_OF_YEARS = '9999-12-31T23:59:59'
const MICROSECONDS = 1_000_000

/** `undefined` for what is no moment of the years 0001 to 9999, such as infinity, and for the last of them. */
function microsecondAfter(moment: string): string | undefined {
  const [, second = '', fraction = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z$/.exec(moment) ?? []
  if (second === '') return undefined
  const next = Number(fraction) + 1
  if (next < MICROSECONDS) return `${second}.${String(next).padStart(6, '0')}Z`
  if (second === LAST_SECOND_OF_YEARS) return undefined
  return `${new Date(Date.parse(`${second}Z`) + 1000).toISOString().slice(0, 19)}.000000Z`
}

/** The UUIDs, one after the other as if they were a single number, that are just before these; `undefined` when nothing is. */
function keyBefore(uuids: readonly string[]): readonly string[] | undefined {
  const digits = uuids.join('').replaceAll('-', '')
  const number = BigInt(`0x${digits}`)
  if (number === 0n) return undefined
  const before = (number - 1n).toString(16).padStart(digits.length, '0')
  return before.match(/.{32}/g)?.map(formatUuid)
}

function formatUuid(digits: string): string {
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ].join('-')
}
