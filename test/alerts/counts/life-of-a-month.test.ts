/** Timelines beside everything that a store does to its months: each answer is that of a recount. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Store } from '../../../src/index.ts'
import { newAlert, newAlerts, newHost, openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { rollUpCounts } from './counted-hours.ts'

const database = useTestDatabase()
const SPAN = { from: '2024-01-01T00:00:00Z', to: '2024-03-01T00:00:00Z' }
let store: Store
let hostId: string
let archiveDir: string

beforeAll(async () => {
  archiveDir = await mkdtemp(join(tmpdir(), 'tripwire-counts-'))
  store = await openStore(database)
  hostId = await newHost(store)
  for (const month of ['2024-01', '2024-02']) {
    for (const day of ['03', '10', '17']) {
      await store.insertAlerts(newAlerts(10, hostId, { receivedAt: `${month}-${day}T12:30:00Z` }))
    }
  }
})
afterAll(async () => {
  await store.close()
  await rm(archiveDir, { recursive: true, force: true })
})
beforeEach(() => rollUpCounts(store))

/** By days, as the timeline has it and as the rows have it. */
async function expectExact(): Promise<number> {
  const buckets = await store.alertTimeline({ ...SPAN, bucket: 'day' })
  const counted = buckets
    .filter(({ alerts }) => alerts > 0)
    .map(({ from, alerts }) => [from.slice(0, 10), alerts])
  const rows = await database.sql(`
    SELECT to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count(*)::int AS alerts
    FROM alerts
    WHERE received_at >= '${SPAN.from}' AND received_at < '${SPAN.to}'
    GROUP BY 1
    ORDER BY 1`)
  expect(counted).toEqual(rows.map(({ day, alerts }) => [day, alerts]))
  expect(await store.checkAlertCounts()).toMatchObject({ wrongHours: 0 })
  return buckets.reduce((sum, { alerts }) => sum + alerts, 0)
}

it('an alert of a counted hour that is stored late counts at once, and its resend does not', async () => {
  expect(await expectExact()).toBe(60)
  const late = newAlert(hostId, { receivedAt: '2024-01-10T12:45:00Z' })
  await store.insertAlerts([late])
  expect(await expectExact()).toBe(61)
  const [receipt] = await store.insertAlerts([late])
  expect(receipt?.outcome).toBe('duplicate')
  expect(await expectExact()).toBe(61)
})

it('a dead letter counts from its redrive on', async () => {
  const unknown = '00000000-0000-4000-8000-000000000001'
  await store.insertAlerts([newAlert(unknown, { receivedAt: '2024-01-10T12:50:00Z' })])
  expect(await expectExact()).toBe(61)
  await store.upsertHost({ hostId: unknown, hostname: 'registered-late' })
  expect(await store.redriveDeadLetters()).toMatchObject({ stored: 1 })
  expect(await expectExact()).toBe(62)
})

it('alerts of a month that is made only now count as well', async () => {
  await store.insertAlerts([newAlert(hostId, { receivedAt: '2023-12-10T12:50:00Z' })])
  await rollUpCounts(store)
  const buckets = await store.alertTimeline({
    from: '2023-12-01T00:00:00Z',
    to: '2024-01-01T00:00:00Z',
    bucket: 'month',
  })
  expect(buckets).toMatchObject([{ alerts: 1 }])
  await database.sql(`DELETE FROM alerts WHERE received_at < '2024-01-01Z'`)
})

it('a month that retention takes out leaves with its counts, and comes back with them from its archive', async () => {
  const restored: string[] = []
  const report = await store.applyRetention({ keepMonths: 12, archiveDir })
  expect(report.failures).toEqual([])
  restored.push(
    ...report.retired.flatMap(({ manifest, rows }) => (manifest !== null && rows ? [manifest] : [])),
  )
  expect(restored).toHaveLength(2)
  expect(await expectExact()).toBe(0)
  await rollUpCounts(store)
  expect(await database.sql('SELECT count(*)::int AS count FROM alert_hour_counts')).toEqual([{ count: 0 }])
  for (const manifest of restored) {
    await store.restorePartition(manifest)
    await expectExact()
  }
  expect(await expectExact()).toBe(62)
  await rollUpCounts(store)
  expect(await expectExact()).toBe(62)
  expect(await store.topAlertHosts({ ...SPAN, limit: 1 })).toEqual([{ hostId, alerts: 61 }])
})

it('a run of the maintenance counts by itself, and one failing action does not keep it from that', async () => {
  await store.insertAlerts(newAlerts(3, hostId, { receivedAt: '2024-02-11T12:30:00Z' }))
  await database.sql(`
    SELECT reopen_alert_hours(array_agg(hour)) FROM rolled_alert_hours;
    CREATE TABLE alerts_in_the_way (LIKE alerts);
    SELECT ensure_alert_partitions(0)`)
  const next = await database.sql(
    `SELECT to_char(now() AT TIME ZONE 'UTC' + INTERVAL '1 month', '"alerts_y"YYYY"m"MM') AS name`,
  )
  await database.sql(`ALTER TABLE alerts_in_the_way RENAME TO ${String(next[0]?.['name'])}`)
  const report = await store.runMaintenance()
  expect(report.failures.map(({ action }) => action)).toEqual(['ensure'])
  await rollUpCounts(store)
  expect(await expectExact()).toBe(65)
})
