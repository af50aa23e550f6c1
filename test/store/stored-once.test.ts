import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, deadLettersOf, newAlert, newAlerts, newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

/** Writes an alert as if it had come in at that time, in SQL. */
async function storedAt(hostId: string, receivedAt: string): Promise<string> {
  const alertId = randomUUID()
  await database.sql(`SELECT ensure_alert_partition(${receivedAt})`)
  await database.sql(
    `INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, severity, received_at)
     VALUES ('${alertId}', '${hostId}', '${MOMENT}', 'FILE', 'rule', 'INFO', ${receivedAt})`,
  )
  return alertId
}

const MOMENT = '2026-01-31T12:00:00.000001Z'

describe('F04: an alert that is sent again', () => {
  it('is stored once', async () => {
    const alert = newAlert(await newHost(store), { eventDetail: { pid: 7, path: '/etc' } })
    expect(await store.insertAlerts([alert])).toMatchObject([{ outcome: 'stored' }])
    expect(await store.insertAlerts([{ ...alert, eventDetail: { path: '/etc', pid: 7 } }])).toMatchObject([
      { outcome: 'duplicate' },
    ])
    expect(await countAlerts(database, alert.hostId)).toBe(1)
  })

  it.each([
    ['ruleName', 'changed'],
    ['timestamp', '2026-03-01T10:00:00.123457Z'],
    ['severity', 'INFO'],
    ['tripwireType', 'PROCESS'],
    ['eventDetail', null],
    ['eventDetail', { pid: 8 }],
  ])('F05: with another %s is told from the first, which stays', async (field, value) => {
    const alert = newAlert(await newHost(store), { eventDetail: { pid: 7 } })
    await store.insertAlerts([alert])
    const before = await database.sql(`SELECT * FROM alerts WHERE alert_id = '${alert.alertId}'`)
    expect(await store.insertAlerts([{ ...alert, [field]: value }])).toMatchObject([
      { outcome: 'rejected', error: { code: 'ALERT_CONFLICT' } },
    ])
    expect(await database.sql(`SELECT * FROM alerts WHERE alert_id = '${alert.alertId}'`)).toEqual(before)
    expect(await deadLettersOf(database, [alert.alertId])).toMatchObject([{ reason: 'ALERT_CONFLICT' }])
  })

  it('is stored once within one batch', async () => {
    await using own = await openStore(database)
    const hostId = await newHost(own)
    const alert = newAlert(hostId)
    for (const each of [alert, newAlert(hostId), alert, alert]) await own.batchInsertAlerts(each)
    await own.flush()
    expect(await countAlerts(database, hostId)).toBe(2)
    expect(own.stats()).toMatchObject({ accepted: 4, stored: 2, duplicate: 2 })
  })

  it('is stored once when eight writers send it at once', async () => {
    const hostId = await newHost(store)
    const alerts = newAlerts(50, hostId)
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => store.insertAlerts(index % 2 ? alerts : alerts.toReversed())),
    )
    const stored = answers.flat().filter(receipt => receipt.outcome === 'stored')
    expect(stored.map(receipt => receipt.alertId).sort()).toEqual(alerts.map(alert => alert.alertId).sort())
    expect(await countAlerts(database, hostId)).toBe(50)
  })

  it('is recognised in an older month only when all months are looked through', async () => {
    const hostId = await newHost(store)
    const alertId = await storedAt(hostId, `'2026-02-10T00:00:00Z'::timestamptz`)
    const again = {
      ...newAlert(hostId),
      alertId,
      ruleName: 'rule',
      severity: 'INFO' as const,
      timestamp: MOMENT,
    }
    await using thorough = await openStore(database, { deduplicateAllMonths: true })
    expect(await thorough.insertAlerts([again])).toMatchObject([{ outcome: 'duplicate' }])
    expect(await store.insertAlerts([again])).toMatchObject([{ outcome: 'stored' }])
    expect(await store.insertAlerts([again])).toMatchObject([{ outcome: 'duplicate' }])
  })

  it("is stored once when it brings its own times on both sides of a month's edge, in one batch", async () => {
    const hostId = await newHost(store)
    const before = newAlert(hostId, { receivedAt: '2026-03-31T23:59:59.999999Z' })
    const after = { ...before, receivedAt: '2026-04-01T00:00:00Z' }
    const receipts = await store.insertAlerts([before, after])
    expect(receipts.map(receipt => receipt.outcome)).toEqual(['stored', 'duplicate'])
    expect(await countAlerts(database, hostId)).toBe(1)
  })

  it("is stored once when it brings its own times on both sides of a month's edge, one after the other", async () => {
    const hostId = await newHost(store)
    const before = newAlert(hostId, { receivedAt: '2026-03-31T23:59:59.999999Z' })
    const after = { ...before, receivedAt: '2026-04-01T00:00:00Z' }
    expect(await store.insertAlerts([before])).toMatchObject([{ outcome: 'stored' }])
    expect(await store.insertAlerts([after])).toMatchObject([{ outcome: 'duplicate' }])
    expect(await countAlerts(database, hostId)).toBe(1)
  })

  it('is stored once in a month that an operator made with the statement of the manual', async () => {
    await database.sql(
      `CREATE TABLE alerts_y2026m07 PARTITION OF alerts FOR VALUES FROM ('2026-07-01 00:00+00') TO ('2026-08-01 00:00+00')`,
    )
    const hostId = await newHost(store)
    const alert = newAlert(hostId, { receivedAt: '2026-07-15T00:00:00Z' })
    await store.insertAlerts([alert, alert])
    await store.insertAlerts([alert])
    expect(await countAlerts(database, hostId)).toBe(1)
  })
})
