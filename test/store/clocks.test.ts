import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AlertsNotStoredError, type Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { aroundNow, newAlert, newHost, openStore, rejection } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
let hostId: string
beforeAll(async () => {
  store = await openStore(database)
  hostId = await newHost(store)
})
afterAll(() => store.close())

const HOUR_MS = 3_600_000

async function partitionCount(): Promise<number> {
  const rows = await database.sql(
    `SELECT count(*)::int AS count FROM pg_class WHERE relname LIKE 'alerts\\_y%' AND relkind = 'r'`,
  )
  return Number(rows[0]?.['count'])
}

describe("F12: a sensor's clock", () => {
  it.each([
    ['27 hours behind', new Date(Date.now() - 27 * HOUR_MS)],
    ['20 years ahead', new Date(Date.now() + 20 * 365 * 24 * HOUR_MS)],
    ['in the year 1970', new Date(0)],
  ])('%s is kept as sent, and the month is that of the server', async (_, timestamp) => {
    const own = await newHost(store)
    await store.insertAlerts([newAlert(own, { timestamp })])
    const { alerts } = await store.queryAlerts({ ...aroundNow(), hostId: own })
    expect(alerts.map(alert => new Date(alert.timestamp))).toEqual([timestamp])
  })
})

describe('F12: an impossible receivedAt', () => {
  it.each([
    '1970-01-01T00:00:00Z',
    '1999-12-31T23:59:59.999999Z',
    new Date(Date.now() + 32 * 24 * HOUR_MS),
    '9999-12-31T00:00:00Z',
    'infinity',
  ])('%s is refused, and makes no partition', async receivedAt => {
    const before = await partitionCount()
    expect(await rejection(store.batchInsertAlerts(newAlert(hostId, { receivedAt })))).toMatchObject({
      code: 'INVALID_INPUT',
      field: 'alert.receivedAt',
    })
    expect(await store.insertAlerts([newAlert(hostId, { receivedAt })])).toMatchObject([
      { outcome: 'rejected' },
    ])
    expect(await partitionCount()).toBe(before)
  })

  it.each(['1999-12-31T23:59:59Z', '3026-01-01T00:00:00Z', 'infinity', '-infinity'])(
    'makes no partition in SQL either: %s',
    async moment => {
      const before = await partitionCount()
      await expect(database.sql(`SELECT ensure_alert_partition('${moment}')`)).rejects.toMatchObject({
        code: '22008',
      })
      expect(await partitionCount()).toBe(before)
    },
  )
})

describe('F12: a row that another client wrote', () => {
  it.each([
    ['infinity', 'infinity'],
    ['-infinity', '-infinity'],
    ['0044-03-15 12:00:00+00 BC', '0044-03-15T12:00:00 BC'],
    ['12026-01-01 00:00:00+00', '12026-01-01T00:00:00.000000Z'],
  ])('with the timestamp %s can still be read', async (timestamp, expected) => {
    const own = await newHost(store)
    await database.sql(`SELECT ensure_alert_partition(now())`)
    await database.sql(
      `INSERT INTO alerts VALUES ('${randomUUID()}', '${own}', '${timestamp}', 'FILE', 'rule', NULL, 'INFO')`,
    )
    const { alerts } = await store.queryAlerts({ ...aroundNow(), hostId: own })
    expect(alerts.map(alert => alert.timestamp)).toEqual([expected])
  })
})

describe('an alert that was refused by its time', () => {
  it('is no reason to lose the ones around it', async () => {
    const own = await newHost(store)
    await using other = await openStore(database)
    await other.batchInsertAlerts(newAlert(own))
    const error = await rejection(
      other.batchInsertAlerts(newAlert(own, { receivedAt: '1980-01-01T00:00:00Z' })),
    )
    expect(error).not.toBeInstanceOf(AlertsNotStoredError)
    await other.flush()
    expect((await store.queryAlerts({ ...aroundNow(), hostId: own })).alerts).toHaveLength(1)
  })
})
