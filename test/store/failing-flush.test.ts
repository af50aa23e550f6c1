import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { isRetryable } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, newAlert, newAlerts, newHost, openStore, rejection } from './fixtures.ts'
import { lockAlerts } from './lock-alerts.ts'
import { startTcpProxy } from './tcp-proxy.ts'

const database = useTestDatabase()
const HIDE = 'ALTER TABLE alerts RENAME TO alerts_hidden'
const SHOW = 'ALTER TABLE alerts_hidden RENAME TO alerts'

const terminateStores = () =>
  database.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database.name}' AND application_name LIKE 'tripwire-storage%'`,
  )

describe('a timer flush that fails', () => {
  it('keeps the alerts, says so in an event and in stats, and succeeds later', async () => {
    await using store = await openStore(database, { flushIntervalMs: 1 })
    const hostId = await newHost(store)
    await database.sql(HIDE)
    const failed = once(store, 'flushFailed')
    for (const alert of newAlerts(3, hostId)) await store.batchInsertAlerts(alert)
    const [event] = await failed
    expect(event).toMatchObject({ error: { code: 'QUERY_FAILED', sqlState: '42P01' } })
    await once(store, 'flushFailed')
    expect(store.stats()).toMatchObject({
      accepted: 3,
      stored: 0,
      inFlight: 3,
      lastFlushError: { sqlState: '42P01' },
    })
    expect(store.stats().failedFlushes).toBeGreaterThanOrEqual(2)
    await database.sql(SHOW)
    await expect.poll(() => countAlerts(database, hostId), { timeout: 20_000 }).toBe(3)
    await expect.poll(() => store.stats()).toMatchObject({ accepted: 3, stored: 3, inFlight: 0 })
  })

  it('sends again after the connection broke in the middle of the write, and stores once', async () => {
    await using store = await openStore(database, { flushIntervalMs: 1 })
    const hostId = await newHost(store)
    const lock = await lockAlerts(database)
    for (const alert of newAlerts(3, hostId)) await store.batchInsertAlerts(alert)
    await lock.waitForWaiters(1)
    const failed = once(store, 'flushFailed')
    await terminateStores()
    const [event] = await failed
    expect(event).toMatchObject({ error: { code: 'CONNECTION_FAILED', sqlState: '57P01' }, waiting: 3 })
    await lock.release()
    await expect.poll(() => store.stats(), { timeout: 20_000 }).toMatchObject({ accepted: 3, inFlight: 0 })
    expect(await countAlerts(database, hostId)).toBe(3)
  })
})

describe('a flush of a caller that fails', () => {
  it('rejects with a retryable error, keeps the alerts, and the next flush stores them', async () => {
    await using proxy = await startTcpProxy(database.connectionString)
    const store = await openStore(proxy, { batchSize: 3, connectTimeoutMs: 500 })
    const hostId = await newHost(store)
    await store.batchInsertAlerts(newAlert(hostId))
    proxy.freeze()
    await store.batchInsertAlerts(newAlert(hostId))
    const filling = rejection(store.batchInsertAlerts(newAlert(hostId)))
    proxy.cut()
    const error = await filling
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(isRetryable(error)).toBe(true)
    expect(store.stats()).toMatchObject({ accepted: 3, stored: 0, inFlight: 3 })
    proxy.thaw()
    await store.flush()
    expect(await countAlerts(database, hostId)).toBe(3)
    await store.close()
  })

  it('tells every caller that waited for it, and loses no alert of theirs', async () => {
    await using store = await openStore(database, { batchSize: 2 })
    const hostId = await newHost(store)
    await database.sql(HIDE)
    const outcomes = await Promise.allSettled(
      newAlerts(20, hostId).map(alert => store.batchInsertAlerts(alert)),
    )
    await database.sql(SHOW)
    expect(outcomes.filter(outcome => outcome.status === 'rejected')).toHaveLength(19)
    expect(store.stats()).toMatchObject({ accepted: 20, inFlight: 20 })
    await store.flush()
    expect(await countAlerts(database, hostId)).toBe(20)
  })
})
