import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Store } from '../../../src/index.ts'
import { newAlert, newHost, openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { fillMonths, MONTHS } from './many-alerts.ts'

const database = useTestDatabase()
let store: Store
let hostId: string
let otherHost: string

beforeAll(async () => {
  await fillMonths(database, 20_000)
  store = await openStore(database)
  hostId = await newHost(store)
  otherHost = await newHost(store)
}, 120_000)
afterAll(() => store.close())

it('an alert is found by its id, whatever its month, with every value', async () => {
  for (const month of [...MONTHS, '2026-02-01']) {
    const alert = newAlert(hostId, { receivedAt: `${month}T12:00:00.123456Z`, eventDetail: { path: '/etc' } })
    await store.insertAlerts([alert])
    const found = await store.getAlert(alert.alertId.toUpperCase())
    expect(found).toEqual({ ...alert, eventDetail: expect.anything() })
    expect(found?.eventDetail?.parse()).toEqual({ path: '/etc' })
  }
})

it('of several hosts with the same id, the alert that came last, or that of the host that is named', async () => {
  const alertId = randomUUID()
  const earlier = newAlert(hostId, { alertId, receivedAt: '2026-02-03T00:00:00.000001Z' })
  const later = newAlert(otherHost, { alertId, receivedAt: '2025-12-03T00:00:00Z' })
  await store.insertAlerts([earlier, later])
  expect(await store.getAlert(alertId)).toMatchObject({ hostId })
  expect(await store.getAlert(alertId, { hostId: otherHost })).toMatchObject({ hostId: otherHost })
  expect(await store.getAlert(alertId, { hostId: randomUUID() })).toBeNull()
  expect(await store.getAlert(alertId, { hostId: null })).toMatchObject({ hostId })
})

it('is null where there is none, and bad input is refused', async () => {
  expect(await store.getAlert(randomUUID())).toBeNull()
  await expect(store.getAlert('x')).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'alertId' })
  await expect(store.getAlert(randomUUID(), { hostId: 'x' })).rejects.toMatchObject({
    field: 'options.hostId',
  })
  const misspelt = { hostId, timeoutMS: 5 }
  await expect(store.getAlert(randomUUID(), misspelt)).rejects.toMatchObject({ code: 'UNKNOWN_OPTION' })
})

it('goes down the unique index of each month, and reads nothing else', async () => {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  try {
    const alert = newAlert(hostId, { receivedAt: '2025-11-20T00:00:00Z' })
    await store.insertAlerts([alert])
    const reads = () =>
      client.query<{ scans: string; rows: string }>(`
        SELECT sum(pg_stat_get_numscans(indexrelid)) AS scans, sum(pg_stat_get_tuples_returned(indrelid)) AS rows
        FROM pg_index
        JOIN pg_inherits
          ON inhrelid = indrelid
        WHERE inhparent = 'alerts'::regclass
          AND NOT indisunique
          -- A month with a handful of alerts is rather read than looked up.
          AND pg_relation_size(indrelid) > 100000`)
    const settled = async () => {
      await store.close()
      store = await openStore(database)
      return (await reads()).rows
    }
    const before = await settled()
    expect(await store.getAlert(alert.alertId)).not.toBeNull()
    expect(await store.getAlert(randomUUID())).toBeNull()
    expect(await settled()).toEqual(before)
  } finally {
    await client.end()
  }
})
