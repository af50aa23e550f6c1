import { describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, newAlert, newAlerts, newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()

describe('batchInsertAlerts', () => {
  it('writes the batch in the call that fills it, which returns after the flush', async () => {
    await using store = await openStore(database, { batchSize: 5 })
    const hostId = await newHost(store)
    for (const alert of newAlerts(4, hostId)) await store.batchInsertAlerts(alert)
    expect(await countAlerts(database, hostId)).toBe(0)
    expect(store.stats()).toMatchObject({ accepted: 4, stored: 0, inFlight: 4 })
    await store.batchInsertAlerts(newAlert(hostId))
    expect(await countAlerts(database, hostId)).toBe(5)
    expect(store.stats()).toMatchObject({ accepted: 5, stored: 5, inFlight: 0 })
  })

  it('writes each alert at once with a batchSize of 1', async () => {
    await using store = await openStore(database, { batchSize: 1 })
    const hostId = await newHost(store)
    for (let count = 1; count <= 3; count++) {
      await store.batchInsertAlerts(newAlert(hostId))
      expect(await countAlerts(database, hostId)).toBe(count)
    }
  })

  it('writes by the timer what does not fill a batch', async () => {
    await using store = await openStore(database, { batchSize: 100, flushIntervalMs: 5 })
    const hostId = await newHost(store)
    for (const alert of newAlerts(3, hostId)) await store.batchInsertAlerts(alert)
    await expect.poll(() => countAlerts(database, hostId), { timeout: 10_000 }).toBe(3)
    // The timer starts again for what comes later.
    await store.batchInsertAlerts(newAlert(hostId))
    await expect.poll(() => countAlerts(database, hostId), { timeout: 10_000 }).toBe(4)
    expect(store.stats()).toMatchObject({ accepted: 4, stored: 4, failedFlushes: 0 })
  })

  it('writes by flush what does not fill a batch', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    await store.batchInsertAlerts(newAlert(hostId))
    await store.flush()
    expect(await countAlerts(database, hostId)).toBe(1)
    await store.flush()
    expect(await countAlerts(database, hostId)).toBe(1)
  })

  it('keeps every field', async () => {
    await using store = await openStore(database, { batchSize: 1 })
    const hostId = await newHost(store)
    const alert = newAlert(hostId, {
      timestamp: '2026-03-01T12:00:00.000001+02:00',
      tripwireType: 'NETWORK',
      ruleName: `NULL {a,"b"} \\ ' " , – 日本 😀 \n\t`,
      severity: 'CRITICAL',
      receivedAt: '2026-03-02T00:00:00.999999Z',
      eventDetail: { port: 22 },
    })
    await store.batchInsertAlerts(alert)
    const { alerts } = await store.queryAlerts({
      from: '2026-03-02T00:00:00Z',
      to: '2026-03-03T00:00:00Z',
      hostId,
    })
    expect(alerts).toEqual([
      {
        ...alert,
        timestamp: '2026-03-01T10:00:00.000001Z',
        eventDetail: expect.objectContaining({ text: '{"port": 22}' }),
      },
    ])
  })

  it("gives an alert without an id a random one, and the server's time", async () => {
    await using store = await openStore(database, { batchSize: 1 })
    const hostId = await newHost(store)
    const { alertId: _, ...alert } = newAlert(hostId)
    await store.batchInsertAlerts(alert)
    await store.batchInsertAlerts(alert)
    const rows = await database.sql(
      `SELECT count(DISTINCT alert_id)::int AS ids, bool_and(received_at BETWEEN now() - INTERVAL '1 hour' AND now()) AS recent
       FROM alerts WHERE host_id = '${hostId}'`,
    )
    expect(rows).toEqual([{ ids: 2, recent: true }])
  })
})
