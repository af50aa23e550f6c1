import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { isRetryable, OverloadedError } from '../../src/index.ts'
import { newAlert, newAlerts, newHost, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  expectNotStored,
  expectStoredOnce,
  openProxy,
  openWatched,
  outcomesOf,
  untilAtRest,
} from './support.ts'

const database = useTestDatabase()
const LONG_MS = 60_000

describe('F06: without a spool, a database that refuses connections', () => {
  it('makes insertAlerts fail with a retryable error, and the same call works when it is back', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, { retryForMs: 200 })
    const hostId = await newHost(store.store)
    const alerts = newAlerts(20, hostId)
    proxy.refuse({ cut: true })
    const error = await rejection(store.insertAlerts(alerts))
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(isRetryable(error)).toBe(true)
    expect(store.check('away')).toMatchObject({ accepted: 0, inFlight: 0, rejected: 20 })
    await expectNotStored(database, alerts)
    await proxy.accept()
    expect(outcomesOf(await store.insertAlerts(alerts))).toEqual(alerts.map(() => 'stored'))
    await expectStoredOnce(database, alerts)
    expect(store.events.filter(event => event.startsWith('database'))).toEqual([
      'databaseAway',
      'databaseBack',
    ])
  })

  it('leaves the batch in memory, and the timer brings it in when it is back', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, { flushIntervalMs: 5 })
    const hostId = await newHost(store.store)
    const alerts = newAlerts(20, hostId)
    proxy.refuse({ cut: true })
    const failed = once(store.store, 'flushFailed')
    for (const alert of alerts) await store.batchInsertAlerts(alert)
    expect((await failed)[0]).toMatchObject({ error: { code: 'CONNECTION_FAILED' } })
    expect(store.check('away')).toMatchObject({ accepted: 20, inFlight: 20 })
    await proxy.accept()
    await untilAtRest(store)
    expect(store.check('back')).toMatchObject({ accepted: 20, stored: 20, rejected: 0 })
    await expectStoredOnce(database, alerts)
  })
})

describe('F06: while the database is frozen', () => {
  it('alerts are taken up to the limit in rows; the others wait, and are then refused', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, {
      batchSize: 10,
      maxBufferedAlerts: 50,
      overloadWaitMs: 20,
      writeTimeoutMs: LONG_MS,
      retryForMs: LONG_MS,
    })
    const hostId = await newHost(store.store)
    proxy.freezeAll()
    const alerts = newAlerts(50, hostId)
    const taken = alerts.map(alert => store.batchInsertAlerts(alert))
    const refused = await Promise.all(
      newAlerts(30, hostId).map(alert => rejection(store.batchInsertAlerts(alert))),
    )
    for (const error of refused) {
      expect(error).toBeInstanceOf(OverloadedError)
      expect(error).toMatchObject({ retryAfterMs: 20 })
      expect(isRetryable(error)).toBe(true)
    }
    const list = newAlerts(7, hostId)
    expect(await rejection(store.insertAlerts(list))).toBeInstanceOf(OverloadedError)
    expect(store.check('full')).toMatchObject({ accepted: 50, inFlight: 50, rejected: 37 })
    proxy.thaw()
    await Promise.all(taken)
    await untilAtRest(store)
    await expectStoredOnce(database, alerts)
    expect(outcomesOf(await store.insertAlerts(list))).toEqual(list.map(() => 'stored'))
  })

  it('alerts are taken up to the limit in bytes; those that wait are taken when there is room', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, {
      maxBufferedBytes: 1_048_576,
      overloadWaitMs: LONG_MS,
      writeTimeoutMs: LONG_MS,
      retryForMs: LONG_MS,
    })
    const hostId = await newHost(store.store)
    // A character takes two bytes in memory: four of them fit.
    const alerts = newAlerts(10, hostId, { eventDetail: { text: 'x'.repeat(120_000) } })
    proxy.freezeAll()
    const lists = alerts.map(alert => store.insertAlerts([alert]))
    await expect.poll(() => store.store.stats().inFlight).toBe(4)
    expect(store.check('full')).toMatchObject({ accepted: 4, inFlight: 4 })
    proxy.thaw()
    expect((await Promise.all(lists)).flatMap(outcomesOf)).toEqual(alerts.map(() => 'stored'))
    await expectStoredOnce(database, alerts)
  })

  it('a list larger than the whole limit is taken piece by piece afterwards', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, {
      maxBufferedAlerts: 1500,
      overloadWaitMs: LONG_MS,
      writeTimeoutMs: LONG_MS,
    })
    const hostId = await newHost(store.store)
    const alerts = newAlerts(6000, hostId)
    proxy.freezeAll()
    const inserting = store.insertAlerts(alerts)
    expect(store.check('begun').inFlight).toBeLessThanOrEqual(1500)
    proxy.thaw()
    expect(outcomesOf(await inserting)).toEqual(alerts.map(() => 'stored'))
    expect(store.check('done')).toMatchObject({ accepted: 6000, stored: 6000 })
  })
})

describe('F06: a database that is slow', () => {
  it('is not taken for one that is away', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, { batchSize: 5, writeTimeoutMs: LONG_MS })
    const hostId = await newHost(store.store)
    const slow = proxy.inject({
      when: { from: 'server', message: 'ReadyForQuery' },
      action: { delayMs: 20 },
      times: 1000,
    })
    const alerts = newAlerts(40, hostId)
    await Promise.all([
      store.insertAlerts(alerts.slice(0, 20)),
      ...alerts.slice(20).map(alert => store.batchInsertAlerts(alert)),
    ])
    expect(slow.count).toBeGreaterThan(0)
    expect(store.events).toEqual([])
    await store.flush()
    await expectStoredOnce(database, alerts)
  })
})

describe('F06: a listener that throws', () => {
  it.each(['databaseAway', 'databaseBack', 'alertsDeadLettered'] as const)(
    'of %s keeps no caller waiting',
    async event => {
      const thrown: unknown[] = []
      const proxy = await openProxy(database)
      const store = await openWatched(proxy)
      const hostId = await newHost(store.store)
      const failure = new Error('the listener failed')
      store.store.on(event, () => {
        throw failure
      })
      const remember = (error: unknown) => thrown.push(error)
      const others = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      process.on('uncaughtException', remember)
      try {
        proxy.refuse({ cut: true })
        await rejection(store.insertAlerts([newAlert(hostId)]))
        await proxy.accept()
        const alerts = [newAlert(hostId), newAlert('00000000-0000-0000-0000-0000000000aa')]
        expect(outcomesOf(await store.insertAlerts(alerts))).toEqual(['stored', 'rejected'])
        await expect.poll(() => thrown).toEqual([failure])
      } finally {
        process.off('uncaughtException', remember)
        for (const listener of others) process.on('uncaughtException', listener)
      }
    },
  )
})
