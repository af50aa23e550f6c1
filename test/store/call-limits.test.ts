import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { startWireProxy } from '../support/wire-proxy.ts'
import { newAlert, newHost, openStore, rejection } from './fixtures.ts'
import { lockAlerts } from './lock-alerts.ts'

const database = useTestDatabase()
let store: Store
let hostId: string

beforeAll(async () => {
  store = await openStore(database)
  hostId = await newHost(store)
  await store.insertAlerts([newAlert(hostId, { receivedAt: '2026-03-01T10:00:00Z' })])
})
afterAll(() => store.close())

const QUERY = { from: '2026-03-01T00:00:00Z', to: '2026-03-02T00:00:00Z' }

const waiting = () =>
  database.sql(`SELECT FROM pg_stat_activity WHERE datname = '${database.name}' AND wait_event_type = 'Lock'`)

describe('a call with a signal', () => {
  it('throws the reason once the server has stopped working on it, and the next call works', async () => {
    await using lock = await lockAlerts(database)
    const controller = new AbortController()
    const failing = rejection(store.queryAlerts(QUERY, { signal: controller.signal }))
    await lock.waitForWaiters(1)
    const reason = new Error('the user went away')
    controller.abort(reason)
    expect(await failing).toBe(reason)
    expect(await waiting()).toEqual([])
    await lock.release()
    expect((await store.queryAlerts(QUERY)).alerts).toHaveLength(1)
  })

  it('that was aborted before asks the server nothing', async () => {
    await using lock = await lockAlerts(database)
    const reason = new Error('too late')
    expect(await rejection(store.queryAlerts(QUERY, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(await waiting()).toEqual([])
    await lock.release()
  })

  it('stops waiting for a connection, and the connection that comes later is not lost', async () => {
    await using single = await openStore(database, { maxConnections: 1 })
    await using lock = await lockAlerts(database)
    const holding = single.queryAlerts(QUERY)
    await lock.waitForWaiters(1)
    const controller = new AbortController()
    const failing = rejection(single.getHost(hostId, { signal: controller.signal }))
    controller.abort()
    expect(await failing).toMatchObject({ name: 'AbortError' })
    await lock.release()
    expect((await holding).alerts).toHaveLength(1)
    expect(await single.getHost(hostId)).toMatchObject({ hostId })
  })

  it.each([
    ['a timeline', (each: Store) => each.alertTimeline({ ...QUERY, bucket: 'hour' }, { timeoutMs: 50 })],
    ['a look-up', (each: Store) => each.getHost(hostId, { timeoutMs: 50 })],
  ])('that is %s does not wait longer than it may for a connection', async (_, call) => {
    await using single = await openStore(database, { maxConnections: 1 })
    await using lock = await lockAlerts(database)
    const holding = single.queryAlerts(QUERY)
    await lock.waitForWaiters(1)
    expect(await rejection(call(single))).toMatchObject({ code: 'TIMEOUT' })
    await lock.release()
    expect((await holding).alerts).toHaveLength(1)
  })

  it('never cancels another call, however late the cancellation comes', async () => {
    await using few = await openStore(database, { maxConnections: 2 })
    const cancelled = Array.from({ length: 100 }, async (_, index) => {
      const controller = new AbortController()
      const reading = few.queryAlerts(QUERY, { signal: controller.signal }).catch(error => error.name)
      setTimeout(() => controller.abort(), index % 7)
      return reading
    })
    const others = Array.from({ length: 100 }, () => few.getHost(hostId))
    for (const host of await Promise.all(others)) expect(host).toMatchObject({ hostId })
    for (const answer of await Promise.all(cancelled)) {
      expect(answer === 'AbortError' || answer.alerts.length === 1).toBe(true)
    }
  })
})

describe('a call with a time limit', () => {
  it.each([
    ['of its own', {}, { timeoutMs: 50 }],
    ['of the store', { queryTimeoutMs: 50 }, {}],
    ['of its own, which is shorter', { queryTimeoutMs: 60_000 }, { timeoutMs: 50 }],
  ])('%s is stopped on the server', async (_, storeOptions, options) => {
    await using limited = await openStore(database, storeOptions)
    await using lock = await lockAlerts(database)
    expect(await rejection(limited.queryAlerts(QUERY, options))).toMatchObject({
      code: 'TIMEOUT',
      message: 'the call took longer than 50 ms, and was cancelled',
      hint: expect.stringContaining('timeoutMs'),
    })
    expect(await waiting()).toEqual([])
    await lock.release()
    expect((await limited.queryAlerts(QUERY)).alerts).toHaveLength(1)
  })

  it('ends also when the server does not answer any more', async () => {
    await using proxy = await startWireProxy({ target: database.connectionString })
    const far = await openStore(proxy, { closeTimeoutMs: 1000 })
    onTestFinished(() => void far.close())
    await far.listHosts()
    proxy.freezeAll()
    expect(await rejection(far.getHost(hostId, { timeoutMs: 50 }))).toMatchObject({ code: 'TIMEOUT' })
    proxy.thaw()
    expect(await far.getHost(hostId)).toMatchObject({ hostId })
  }, 20_000)

  it.each([
    ['options.timeoutMs', { timeoutMs: 0 }],
    ['options.timeoutMs', { timeoutMs: 1.5 }],
    ['options.timeoutMs', { timeoutMs: 86_400_001 }],
    ['options.signal', { signal: new AbortController() }],
    ['options.timeout', { timeout: 5 }],
  ])('names %s where it is wrong', async (field, options) => {
    expect(await rejection(Reflect.apply(store.listHosts, store, [options]))).toMatchObject({
      code: expect.stringMatching(/INVALID_INPUT|UNKNOWN_OPTION/),
      message: expect.stringContaining(field.split('.')[1] ?? field),
    })
  })
})
