import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isRetryable } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, newAlerts, newHost, openStore, rejection } from './fixtures.ts'
import { lockAlerts } from './lock-alerts.ts'
import { startTcpProxy } from './tcp-proxy.ts'

const database = useTestDatabase()

const unhandled: unknown[] = []
const remember = (error: unknown) => unhandled.push(error)
beforeEach(() => {
  unhandled.length = 0
  process.on('uncaughtException', remember)
  process.on('unhandledRejection', remember)
})
afterEach(() => {
  process.off('uncaughtException', remember)
  process.off('unhandledRejection', remember)
  expect(unhandled).toEqual([])
})

const terminateStores = () =>
  database.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database.name}' AND application_name LIKE 'tripwire-storage%'`,
  )

describe('F11: a connection that is terminated', () => {
  it('while it is idle ends no process: the store says so, and the next call works', async () => {
    // A pooler would keep it from the store.
    await using store = await openStore({ connectionString: database.directConnectionString })
    const hostId = await newHost(store)
    await Promise.all(Array.from({ length: 5 }, () => store.listHosts()))
    const lost = once(store, 'connectionLost')
    expect((await terminateStores()).length).toBeGreaterThan(0)
    const [event] = await lost
    expect(event).toMatchObject({ error: { code: 'CONNECTION_FAILED', sqlState: '57P01' } })
    await expect.poll(() => store.getHost(hostId).catch(() => null)).toMatchObject({ hostId })
  })

  it('while it is in use fails that call with a retryable error, and the next call works', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    const lock = await lockAlerts(database)
    const alerts = newAlerts(5, hostId)
    const failing = rejection(store.insertAlerts(alerts))
    await lock.waitForWaiters(1)
    await terminateStores()
    const error = await failing
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED', sqlState: '57P01' })
    expect(isRetryable(error)).toBe(true)
    await lock.release()
    const receipts = await store.insertAlerts(alerts)
    expect(receipts.map(receipt => receipt.outcome)).toEqual(alerts.map(() => 'stored'))
    expect(await countAlerts(database, hostId)).toBe(5)
  })

  it('by a broken socket, idle or in use, ends no process either', async () => {
    await using proxy = await startTcpProxy(database.connectionString)
    await using store = await openStore(proxy)
    const hostId = await newHost(store)
    const lost = once(store, 'connectionLost')
    proxy.cut()
    expect((await lost)[0]).toMatchObject({ error: { code: 'CONNECTION_FAILED' } })
    const lock = await lockAlerts(database)
    const failing = rejection(store.insertAlerts(newAlerts(2, hostId)))
    await lock.waitForWaiters(1)
    proxy.cut()
    const error = await failing
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(isRetryable(error)).toBe(true)
    await lock.release()
    expect(await store.getHost(hostId)).toMatchObject({ hostId })
  })

  it('again and again while 20 callers write loses and repeats nothing', async () => {
    const store = await openStore(database, { batchSize: 5, flushIntervalMs: 5 })
    const hostId = await newHost(store)
    let terminated = 0
    const writing = Promise.all(
      newAlerts(400, hostId).map(alert =>
        store
          .batchInsertAlerts(alert)
          .catch((error: unknown) => expect(isRetryable(error), String(error)).toBe(true)),
      ),
    )
    for (let round = 0; round < 10; round++) terminated += (await terminateStores()).length
    await writing
    expect(terminated).toBeGreaterThan(0)
    await expect.poll(() => store.stats(), { timeout: 20_000 }).toMatchObject({ accepted: 400, inFlight: 0 })
    expect(await countAlerts(database, hostId)).toBe(400)
    await store.close()
  })
})
