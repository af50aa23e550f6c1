import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { isRetryable } from '../../src/index.ts'
import { newAlerts, newHost, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import type { Fault, FaultAction, WireProxy } from '../support/wire-proxy.ts'
import { COPY_FAULTS, type CopyFault } from './copy-faults.ts'
import {
  expectNotStored,
  expectStoredOnce,
  openProxy,
  openWatched,
  outcomesOf,
  untilAtRest,
} from './support.ts'

const database = useTestDatabase()
const ALERTS = 30
/** Only the frozen ones wait for it. */
const FROZEN_TIMEOUT_MS = 500
const LONG_MS = 60_000
const RETRY_FOR_MS = 20_000

/** A store with one connection to write on, that has written on it, and a fault that hits the next batch. */
async function setUp(retryForMs: number, action: FaultAction, flushIntervalMs?: number) {
  const proxy = await openProxy(database)
  const store = await openWatched(proxy, {
    retryForMs,
    writerConnections: 1,
    writeTimeoutMs: action === 'freeze' ? FROZEN_TIMEOUT_MS : LONG_MS,
    ...(flushIntervalMs === undefined ? {} : { flushIntervalMs }),
  })
  const hostId = await newHost(store.store)
  await store.insertAlerts(newAlerts(1, hostId))
  return { proxy, store, hostId, alerts: newAlerts(ALERTS, hostId) }
}

/** Until nothing of the broken connection changes any more. A freeze never ends by itself. */
async function untilOver(proxy: WireProxy, fault: Fault, { spec }: CopyFault): Promise<void> {
  await fault.fired
  if (spec.action === 'freeze') proxy.thaw()
  await fault.settled
}

async function expectColumn(alerts: ReturnType<typeof newAlerts>, { isApplied }: CopyFault): Promise<void> {
  if (isApplied) await expectStoredOnce(database, alerts)
  else await expectNotStored(database, alerts)
}

const withColumn = COPY_FAULTS.map(fault => ({
  ...fault,
  column: fault.isApplied ? 'applied' : 'not applied',
}))

describe.each(withColumn)('F03: a batch whose connection is $what ($column)', fault => {
  it('is stored once by insertAlerts, which sends it again itself', async () => {
    const { proxy, store, alerts } = await setUp(RETRY_FOR_MS, fault.spec.action)
    const injected = proxy.inject(fault.spec)
    const receipts = await store.insertAlerts(alerts)
    expect(injected.count).toBe(1)
    const expected = fault.isApplied ? 'duplicate' : 'stored'
    expect(outcomesOf(receipts)).toEqual(alerts.map(() => expected))
    expect(store.check('sent again')).toMatchObject({ accepted: ALERTS + 1, inFlight: 0, rejected: 0 })
    expect(store.store.stats().retries).toBeGreaterThan(0)
    expect(store.events).not.toContain('databaseAway')
    await untilOver(proxy, injected, fault)
    await expectStoredOnce(database, alerts)
  })

  it('is given back by insertAlerts with a retryable error, and stored once when it is sent again', async () => {
    const { proxy, store, alerts } = await setUp(1, fault.spec.action)
    const injected = proxy.inject(fault.spec)
    const error = await rejection(store.insertAlerts(alerts))
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(isRetryable(error)).toBe(true)
    expect(store.check('given back')).toMatchObject({ accepted: 1, inFlight: 0, rejected: ALERTS })
    if (fault.isApplied || fault.spec.action !== 'freeze') {
      await untilOver(proxy, injected, fault)
      await expectColumn(alerts, fault)
    }
    const receipts = await store.insertAlerts(alerts)
    const expected = fault.isApplied ? 'duplicate' : 'stored'
    expect(outcomesOf(receipts)).toEqual(alerts.map(() => expected))
    expect(store.events).toEqual(expect.arrayContaining(['databaseAway', 'databaseBack']))
    await untilOver(proxy, injected, fault)
    await expectStoredOnce(database, alerts)
  })

  it('stays in memory when a flush fails, and is stored once by the next', async () => {
    const { proxy, store, alerts } = await setUp(1, fault.spec.action)
    for (const alert of alerts) await store.batchInsertAlerts(alert)
    const injected = proxy.inject(fault.spec)
    const error = await rejection(store.flush())
    expect(isRetryable(error)).toBe(true)
    expect(store.check('failed')).toMatchObject({ accepted: ALERTS + 1, inFlight: ALERTS, rejected: 0 })
    if (fault.isApplied || fault.spec.action !== 'freeze') {
      await untilOver(proxy, injected, fault)
      await expectColumn(alerts, fault)
    }
    await store.flush()
    const settled = fault.isApplied ? { stored: 1, duplicate: ALERTS } : { stored: ALERTS + 1, duplicate: 0 }
    expect(store.check('flushed')).toMatchObject({ accepted: ALERTS + 1, inFlight: 0, ...settled })
    await untilOver(proxy, injected, fault)
    await expectStoredOnce(database, alerts)
  })

  it('stays in memory when the timer flush fails, and is stored once by the next', async () => {
    const { proxy, store, alerts } = await setUp(1, fault.spec.action, 5)
    const injected = proxy.inject(fault.spec)
    const failed = once(store.store, 'flushFailed')
    for (const alert of alerts) await store.batchInsertAlerts(alert)
    await injected.fired
    await failed
    if (fault.spec.action === 'freeze') proxy.thaw()
    await untilAtRest(store)
    expect(store.check('at rest')).toMatchObject({ accepted: ALERTS + 1, rejected: 0 })
    await expectStoredOnce(database, alerts)
  })
})

describe('F03: a batch whose connection is only slow', () => {
  it.each([
    { what: 'data', when: { from: 'client', message: 'CopyDone' } },
    { what: 'answer', when: { from: 'server', message: 'CommandComplete' } },
  ] as const)('in its $what is stored at the first try', async ({ when }) => {
    const { proxy, store, alerts } = await setUp(RETRY_FOR_MS, { delayMs: 30 })
    const injected = proxy.inject({ when, action: { delayMs: 30 } })
    expect(outcomesOf(await store.insertAlerts(alerts))).toEqual(alerts.map(() => 'stored'))
    expect(injected.count).toBe(1)
    expect(store.store.stats()).toMatchObject({ retries: 0, stored: ALERTS + 1 })
    await expectStoredOnce(database, alerts)
  })
})

describe('F03: a batch whose last message is held by the network', () => {
  it('and arrives after the batch was sent again is stored once', async () => {
    const { proxy, store, alerts } = await setUp(RETRY_FOR_MS, 'freeze')
    const injected = proxy.inject({ when: { from: 'client', message: 'CopyDone' }, action: 'freeze' })
    const inserting = store.insertAlerts(alerts)
    await injected.fired
    await expect.poll(() => store.store.stats().retries, { timeout: 20_000 }).toBeGreaterThan(0)
    proxy.thaw()
    // The first try commits now. The others waited for it, and find its rows.
    expect(outcomesOf(await inserting)).toEqual(alerts.map(() => 'duplicate'))
    await expectStoredOnce(database, alerts)
  })
})
