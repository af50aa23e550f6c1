import { randomUUID } from 'node:crypto'
import { type NewAlert, Store, type StoreOptions } from '../../src/index.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** So long that no test sees the timer fire. */
export const NEVER_MS = 86_400_000

/** A store whose timers do not fire and that gives up at the first error, unless the options say otherwise. */
export function openStore(
  database: { readonly connectionString: string },
  options: Partial<StoreOptions> = {},
): Promise<Store> {
  return Store.open({
    connectionString: database.connectionString,
    flushIntervalMs: NEVER_MS,
    retryForMs: 1,
    maintenanceIntervalMs: 0,
    ...options,
  })
}

/** Registers a host of its own. */
export function newHost(store: Store): Promise<string> {
  return store.upsertHost({ hostname: `host-${randomUUID()}` })
}

/** An alert with an id, so that it can be looked for. */
export function newAlert(hostId: string, members: Partial<NewAlert> = {}): NewAlert & { alertId: string } {
  return {
    hostId,
    timestamp: '2026-03-01T10:00:00.123456Z',
    tripwireType: 'FILE',
    ruleName: 'etc-passwd',
    severity: 'WARN',
    ...members,
    alertId: members.alertId ?? randomUUID(),
  }
}

export function newAlerts(count: number, hostId: string, members: Partial<NewAlert> = {}) {
  return Array.from({ length: count }, () => newAlert(hostId, members))
}

/** How many alerts of a host the table holds, asked by another client. */
export async function countAlerts(database: TestDatabase, hostId: string): Promise<number> {
  const rows = await database.sql(`SELECT count(*)::int AS count FROM alerts WHERE host_id = '${hostId}'`)
  return Number(rows[0]?.['count'])
}

export interface Span {
  readonly from: string
  readonly to: string
}

/** Everything that can have been received around now. */
export function aroundNow(): Span {
  return {
    from: new Date(Date.now() - 86_400_000).toISOString(),
    to: new Date(Date.now() + 86_400_000).toISOString(),
  }
}

/** What a promise was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('expected a rejection')
}

export interface StoredDeadLetter {
  readonly alertId: unknown
  readonly reason: unknown
  readonly sqlState: unknown
}

/** The dead letters of these alerts, asked by another client, in the order of the ids. */
export async function deadLettersOf(
  database: TestDatabase,
  alertIds: readonly string[],
): Promise<readonly StoredDeadLetter[]> {
  const list = alertIds.map(id => `'${id}'`).join(', ')
  const rows = await database.sql(
    `SELECT alert_id, reason, sql_state FROM alert_dead_letters WHERE alert_id IN (${list}) ORDER BY alert_id`,
  )
  return rows.map(row => ({ alertId: row['alert_id'], reason: row['reason'], sqlState: row['sql_state'] }))
}
