/** Stores behind a proxy, and what the database says of their alerts afterwards. */
import { expect, onTestFinished } from 'vitest'
import type { AlertReceipt, StoreOptions } from '../../src/index.ts'
import { openStore } from '../store/fixtures.ts'
import type { TestDatabase } from '../support/test-database.ts'
import { startWireProxy, type WireProxy } from '../support/wire-proxy.ts'
import { IdentityWatch } from './identity.ts'

/** Closed when the test ends, after the stores that were opened later. */
export async function openProxy(database: TestDatabase): Promise<WireProxy> {
  const proxy = await startWireProxy({ target: database.connectionString })
  onTestFinished(() => proxy.close())
  return proxy
}

/**
 * A store whose counts are watched, and which sends nothing but what its alerts need, so that a fault hits no other statement. Closed when the test
 * ends; by then the database may be away.
 */
export async function openWatched(
  through: { readonly connectionString: string },
  options: Partial<StoreOptions> = {},
): Promise<IdentityWatch> {
  const settings = { closeTimeoutMs: 1000, connectTimeoutMs: 2000, notifyTails: false }
  const store = await openStore(through, { ...settings, ...options })
  onTestFinished(async () => {
    await store.close().catch(() => undefined)
  })
  return new IdentityWatch(store)
}

interface Identified {
  readonly alertId: string
}

export function idsOf(alerts: readonly Identified[]): readonly string[] {
  return alerts.map(alert => alert.alertId)
}

/** How often each of these alerts stands in the table. */
export async function timesStored(
  database: TestDatabase,
  alerts: readonly Identified[],
): Promise<readonly number[]> {
  if (alerts.length === 0) return []
  const list = alerts.map(({ alertId }) => `'${alertId}'`).join(', ')
  const rows = await database.sql(
    `SELECT alert_id, count(*)::int AS count FROM alerts WHERE alert_id IN (${list}) GROUP BY alert_id`,
  )
  const counts = new Map(rows.map(row => [String(row['alert_id']), Number(row['count'])]))
  return alerts.map(({ alertId }) => counts.get(alertId) ?? 0)
}

export async function expectStoredOnce(database: TestDatabase, alerts: readonly Identified[]): Promise<void> {
  expect(await timesStored(database, alerts)).toEqual(alerts.map(() => 1))
}

export async function expectNotStored(database: TestDatabase, alerts: readonly Identified[]): Promise<void> {
  expect(await timesStored(database, alerts)).toEqual(alerts.map(() => 0))
}

export function outcomesOf(receipts: readonly AlertReceipt[]): readonly string[] {
  return receipts.map(receipt => receipt.outcome)
}

/** Until nothing is in memory and nothing in the spool. */
export async function untilAtRest({ store }: IdentityWatch): Promise<void> {
  await expect
    .poll(() => store.stats(), { timeout: 20_000, interval: 5 })
    .toMatchObject({ inFlight: 0, spooled: 0 })
}

let months = 0

/** A moment in a month that no other test of the file uses, and that has no partition. */
export function momentInFreshMonth(): string {
  const month = months++
  return `${2001 + Math.floor(month / 12)}-${String((month % 12) + 1).padStart(2, '0')}-15T12:00:00.000001Z`
}
