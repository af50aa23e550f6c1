import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { AlertsNotStoredError } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, deadLettersOf, newAlert, newAlerts, newHost, openStore, rejection } from './fixtures.ts'
import { lockAlerts } from './lock-alerts.ts'
import { startTcpProxy } from './tcp-proxy.ts'

const database = useTestDatabase()

function alertIdsOf(error: unknown): readonly string[] {
  if (!(error instanceof AlertsNotStoredError)) throw new Error('expected alerts', { cause: error })
  return error.alerts.map(each => each.alert.alertId)
}

describe('close', () => {
  it('writes what is buffered', async () => {
    const store = await openStore(database)
    const hostId = await newHost(store)
    for (const alert of newAlerts(3, hostId)) await store.batchInsertAlerts(alert)
    expect(await countAlerts(database, hostId)).toBe(0)
    await store.close()
    expect(await countAlerts(database, hostId)).toBe(3)
    expect(store.stats()).toMatchObject({ accepted: 3, stored: 3, inFlight: 0 })
  })

  it('happens at the end of an `await using` block', async () => {
    let hostId: string
    {
      await using store = await openStore(database)
      hostId = await newHost(store)
      await store.batchInsertAlerts(newAlert(hostId))
    }
    expect(await countAlerts(database, hostId)).toBe(1)
  })

  it('can be called twice, also at once', async () => {
    const store = await openStore(database)
    await Promise.all([store.close(), store.close()])
    await store.close()
  })

  it('rejects every later call with STORE_CLOSED', async () => {
    const store = await openStore(database)
    const hostId = await newHost(store)
    const rule = {
      ruleId: hostId,
      hostId: null,
      ruleType: 'FILE',
      target: '/',
      severity: 'INFO',
      enabled: true,
    } as const
    const entry = { hostId, sequenceNum: 1, eventHash: '0'.repeat(64), prevHash: '0'.repeat(64), payload: {} }
    const closing = store.close()
    const calls = [
      () => store.batchInsertAlerts(newAlert(hostId)),
      () => store.flush(),
      () => store.insertAlerts([]),
      () => store.queryAlerts({ from: new Date(), to: new Date() }),
      () => store.upsertHost({ hostname: 'late' }),
      () => store.getHost(hostId),
      () => store.listHosts(),
      () => store.createRule(rule),
      () => store.getRule(hostId),
      () => store.listRules(),
      () => store.updateRule(rule),
      () => store.deleteRule(hostId),
      () => store.insertAuditEntry(entry),
      () => store.appendAuditEntries(hostId, [{}]),
      () => store.queryAuditEntries({ hostId }),
    ]
    for (const call of calls)
      await expect(call(), String(call)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await closing
    for (const call of calls)
      await expect(call(), String(call)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    expect(store.stats().accepted).toBe(0)
  })

  it('lets the calls that wait for a connection finish', async () => {
    const store = await openStore(database, { maxConnections: 1, connectTimeoutMs: 3000 })
    const calls = [store.listHosts(), store.listHosts(), store.listHosts()]
    const closed = store.close()
    const outcomes = await Promise.allSettled(calls)
    await closed
    expect(outcomes.map(outcome => outcome.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  })

  it('lets a long insertAlerts finish', async () => {
    const store = await openStore(database)
    const hostId = await newHost(store)
    const inserting = store.insertAlerts(newAlerts(12_000, hostId))
    const closed = store.close()
    const [outcome] = await Promise.allSettled([inserting])
    await closed
    expect(outcome).toMatchObject({ status: 'fulfilled', value: { length: 12_000 } })
    expect(await countAlerts(database, hostId)).toBe(12_000)
  })

  it('hands back the alerts when the server is gone', async () => {
    await using proxy = await startTcpProxy(database.connectionString)
    const store = await openStore(proxy)
    const hostId = await newHost(store)
    const alerts = newAlerts(3, hostId)
    for (const alert of alerts) await store.batchInsertAlerts(alert)
    await proxy.stop()
    const error = await rejection(store.close())
    expect(error).toMatchObject({ code: 'ALERTS_NOT_STORED', cause: { code: 'CONNECTION_FAILED' } })
    expect(alertIdsOf(error)).toEqual(alerts.map(alert => alert.alertId))
    // What was handed back can be handed in again as it is.
    await using other = await openStore(database)
    if (error instanceof AlertsNotStoredError) await other.insertAlerts(error.alerts.map(each => each.alert))
    expect(await countAlerts(database, hostId)).toBe(3)
  })

  it('hands back the alerts when a write does not end in time', async () => {
    const store = await openStore(database, { closeTimeoutMs: 300 })
    const hostId = await newHost(store)
    const alerts = newAlerts(3, hostId)
    for (const alert of alerts) await store.batchInsertAlerts(alert)
    await using _lock = await lockAlerts(database)
    const error = await rejection(store.close())
    expect(alertIdsOf(error)).toEqual(alerts.map(alert => alert.alertId))
  })

  it('hands back the alerts when a write does not end in time and other connections are idle', async () => {
    const store = await openStore(database, { closeTimeoutMs: 300 })
    const hostId = await newHost(store)
    await Promise.all([store.listHosts(), store.listHosts(), store.listHosts()])
    const alert = newAlert(hostId)
    await store.batchInsertAlerts(alert)
    await using _lock = await lockAlerts(database)
    expect(alertIdsOf(await rejection(store.close()))).toEqual([alert.alertId])
  })

  it('hands back the alerts of a timer flush that does not end in time', async () => {
    const store = await openStore(database, { closeTimeoutMs: 300, flushIntervalMs: 1 })
    const hostId = await newHost(store)
    await using lock = await lockAlerts(database)
    const alert = newAlert(hostId)
    await store.batchInsertAlerts(alert)
    await lock.waitForWaiters(1)
    expect(alertIdsOf(await rejection(store.close()))).toEqual([alert.alertId])
  })

  it('ends in time when the network swallows everything, idle connections included', async () => {
    await using proxy = await startTcpProxy(database.connectionString)
    const store = await openStore(proxy, { closeTimeoutMs: 300 })
    const hostId = await newHost(store)
    await Promise.all([store.listHosts(), store.listHosts(), store.listHosts()])
    const alert = newAlert(hostId)
    await store.batchInsertAlerts(alert)
    proxy.freeze()
    const closed = rejection(store.close())
    const deadline = AbortSignal.timeout(5000)
    const hangs = once(deadline, 'abort').then(() => 'close hangs')
    expect(alertIdsOf(await Promise.race([closed, hangs]))).toEqual([alert.alertId])
  })

  it('ends in time when the network swallows everything and nothing is buffered', async () => {
    await using proxy = await startTcpProxy(database.connectionString)
    const store = await openStore(proxy, { closeTimeoutMs: 300 })
    await Promise.all([store.listHosts(), store.listHosts(), store.listHosts()])
    proxy.freeze()
    await store.close()
    await expect(store.listHosts()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })

  it('keeps the alerts that the database refuses as dead letters', async () => {
    const store = await openStore(database)
    const hostId = await newHost(store)
    const bad = newAlert('00000000-0000-0000-0000-000000000001')
    await store.batchInsertAlerts(newAlert(hostId))
    await store.batchInsertAlerts(bad)
    await store.close()
    expect(await countAlerts(database, hostId)).toBe(1)
    expect(await deadLettersOf(database, [bad.alertId])).toMatchObject([{ reason: 'UNKNOWN_HOST' }])
    expect(store.stats()).toMatchObject({ accepted: 2, stored: 1, deadLettered: 1, inFlight: 0 })
  })
})
