import { describe, expect, it } from 'vitest'
import type { StoreStats } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, newAlert, newAlerts, newHost, openStore, rejection } from './fixtures.ts'
import { lockAlerts } from './lock-alerts.ts'

const database = useTestDatabase()

function expectIdentity(stats: StoreStats): void {
  expect(stats.accepted).toBe(
    stats.stored + stats.duplicate + stats.deadLettered + stats.spooled + stats.inFlight,
  )
  expect(stats.inFlight).toBeGreaterThanOrEqual(0)
}

describe('20 callers at once', () => {
  it('store every accepted alert exactly once, and the counts agree at every step', async () => {
    await using store = await openStore(database, { batchSize: 7, flushIntervalMs: 1 })
    const hostId = await newHost(store)
    const given: string[] = []
    const callers = Array.from({ length: 20 }, async () => {
      for (let round = 0; round < 30; round++) {
        const alert = newAlert(hostId)
        given.push(alert.alertId)
        const adding = store.batchInsertAlerts(alert)
        expectIdentity(store.stats())
        await adding
        expectIdentity(store.stats())
      }
    })
    await Promise.all(callers)
    await store.flush()
    expect(store.stats()).toMatchObject({
      accepted: 600,
      stored: 600,
      duplicate: 0,
      deadLettered: 0,
      inFlight: 0,
    })
    const rows = await database.sql(`SELECT alert_id FROM alerts WHERE host_id = '${hostId}'`)
    expect(rows.map(row => String(row['alert_id'])).sort()).toEqual(given.sort())
  })

  it('count duplicates and dead letters, too', async () => {
    await using store = await openStore(database, { batchSize: 10 })
    const hostId = await newHost(store)
    const same = newAlert(hostId)
    const adding = Array.from({ length: 20 }, async (_, index) => {
      const unknown = newAlert('00000000-0000-0000-0000-000000000002')
      await store.batchInsertAlerts(index % 4 === 0 ? unknown : index % 2 === 0 ? newAlert(hostId) : same)
      expectIdentity(store.stats())
    })
    await Promise.all(adding)
    await store.flush()
    expect(store.stats()).toMatchObject({
      accepted: 20,
      stored: 6,
      duplicate: 9,
      deadLettered: 5,
      inFlight: 0,
    })
    expect(await countAlerts(database, hostId)).toBe(6)
  })

  it('flush at once: each returns after everything that was taken before', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    const counts = await Promise.all(
      Array.from({ length: 20 }, async () => {
        await store.batchInsertAlerts(newAlert(hostId))
        const { accepted } = store.stats()
        await store.flush()
        return { accepted, found: await countAlerts(database, hostId) }
      }),
    )
    for (const { accepted, found } of counts) expect(found).toBeGreaterThanOrEqual(accepted)
    expect(await countAlerts(database, hostId)).toBe(20)
  })
})

describe('a full buffer', () => {
  it('refuses the next alert with OVERLOADED and takes alerts again when there is room', async () => {
    await using store = await openStore(database, {
      batchSize: 10,
      maxBufferedAlerts: 10,
      overloadWaitMs: 20,
    })
    const hostId = await newHost(store)
    const lock = await lockAlerts(database)
    const adding = newAlerts(10, hostId).map(alert => store.batchInsertAlerts(alert))
    expect(await rejection(store.batchInsertAlerts(newAlert(hostId)))).toMatchObject({
      code: 'OVERLOADED',
      retryAfterMs: expect.any(Number),
      hint: expect.stringContaining('maxBufferedAlerts'),
    })
    expect(store.stats()).toMatchObject({ accepted: 10, inFlight: 10, rejected: 1 })
    await lock.release()
    await Promise.all(adding)
    await store.batchInsertAlerts(newAlert(hostId))
    await store.flush()
    expect(await countAlerts(database, hostId)).toBe(11)
  })

  it('lets callers wait for room, and takes their alerts when there is some', async () => {
    await using store = await openStore(database, {
      batchSize: 5,
      maxBufferedAlerts: 5,
      overloadWaitMs: 20_000,
    })
    const hostId = await newHost(store)
    const lock = await lockAlerts(database)
    const adding = newAlerts(20, hostId).map(alert => store.batchInsertAlerts(alert))
    await lock.waitForWaiters(1)
    expect(store.stats()).toMatchObject({ accepted: 5, inFlight: 5 })
    await lock.release()
    await Promise.all(adding)
    await store.flush()
    expect(await countAlerts(database, hostId)).toBe(20)
  })

  it('does not stay full because of alerts that the database refused', async () => {
    await using store = await openStore(database, {
      batchSize: 3,
      maxBufferedAlerts: 3,
      flushIntervalMs: 1,
      overloadWaitMs: 20_000,
    })
    const hostId = await newHost(store)
    for (const alert of newAlerts(10, '00000000-0000-0000-0000-000000000003'))
      await store.batchInsertAlerts(alert)
    await store.batchInsertAlerts(newAlert(hostId))
    await store.flush()
    expect(await countAlerts(database, hostId)).toBe(1)
    expect(store.stats()).toMatchObject({ accepted: 11, stored: 1, deadLettered: 10, inFlight: 0 })
  })
})
