import { describe, expect, it } from 'vitest'
import { AlertsNotStoredError, type NewAlert } from '../../src/index.ts'
import { openSpool, spoolFolder } from '../spool/support.ts'
import { newAlert, newAlerts, newHost, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import type { WireProxy } from '../support/wire-proxy.ts'
import { expectStoredOnce, idsOf, openProxy, openWatched, timesStored } from './support.ts'

const database = useTestDatabase()
const LONG_MS = 60_000

/** `slow` is slower than the time that close has. */
const SERVERS = {
  healthy: () => undefined,
  dead: (proxy: WireProxy) => proxy.refuse({ cut: true }),
  frozen: (proxy: WireProxy) => proxy.freezeAll(),
  'a little slow': (proxy: WireProxy) => slow(proxy, 20),
  'very slow': (proxy: WireProxy) => slow(proxy, 2000),
}

function slow(proxy: WireProxy, delayMs: number): void {
  proxy.inject({
    when: { from: 'server', message: 'ReadyForQuery' },
    action: { delayMs },
    times: Number.POSITIVE_INFINITY,
  })
}

interface Handed {
  readonly acknowledged: NewAlert[]
  readonly refused: NewAlert[]
}

const SPOOL = ['with a spool', 'without a spool'] as const

/** Alerts in every place where they can be: lists on their way, some unreadable, a batch, callers that wait for room. */
function handIn(store: Awaited<ReturnType<typeof openWatched>>, hostId: string) {
  const handed: Handed = { acknowledged: [], refused: [] }
  const note = (alerts: readonly NewAlert[]) => [
    () => void handed.acknowledged.push(...alerts),
    () => void handed.refused.push(...alerts),
  ]
  const work: Promise<void>[] = []
  for (let round = 0; round < 4; round++) {
    const list = newAlerts(60, hostId)
    const unreadable = { ...newAlert(hostId), timestamp: 'never' }
    work.push(store.insertAlerts([...list, unreadable]).then(...note(list)))
    for (const alert of newAlerts(30, hostId)) {
      work.push(store.batchInsertAlerts(alert).then(...note([alert])))
    }
  }
  return { handed, all: Promise.all(work) }
}

describe.each(Object.entries(SERVERS))('F08: close while the server is %s', (_, breakServer) => {
  it.each(SPOOL)('%s, says of every alert where it is', async spooling => {
    const proxy = await openProxy(database)
    const folder = spoolFolder()
    const store = await openWatched(proxy, {
      closeTimeoutMs: 600,
      batchSize: 20,
      flushIntervalMs: 5,
      // Less than what is handed in, so some callers wait for room.
      maxBufferedAlerts: 200,
      overloadWaitMs: LONG_MS,
      retryForMs: LONG_MS,
      ...(spooling === 'with a spool' ? { spoolDir: folder } : {}),
    })
    const hostId = await newHost(store.store)
    await store.insertAlerts(newAlerts(1, hostId))
    breakServer(proxy)
    const { handed, all } = handIn(store, hostId)
    const [closed, again] = await Promise.allSettled([store.close(), store.close()])
    await all
    expect(again).toEqual(closed)
    const returned =
      closed.status === 'rejected' && closed.reason instanceof AlertsNotStoredError
        ? closed.reason.alerts.map(each => each.alert.alertId)
        : []
    if (closed.status === 'rejected') expect(closed.reason).toBeInstanceOf(AlertsNotStoredError)
    proxy.thaw()
    await proxy.cutAll()

    const spooled = spooling === 'with a spool' ? readSpool(folder) : []
    const report = store.check('closed')
    expect(report).toMatchObject({ inFlight: 0, spooled: spooled.length })
    const known = new Set([...spooled, ...returned, ...idsOfNew(handed.refused)])
    const rest = handed.acknowledged.filter(({ alertId = '' }) => !known.has(alertId))
    await expectStoredOnce(
      database,
      rest.map(({ alertId = '' }) => ({ alertId })),
    )
    const everywhere = idsOfNew([...handed.acknowledged, ...handed.refused]).map(alertId => ({ alertId }))
    for (const times of await timesStored(database, everywhere)) expect(times).toBeLessThanOrEqual(1)
    if (spooling === 'with a spool') {
      expect(returned).toEqual([])
      await using next = await openSpoolAgain(folder)
      expect(next.store.stats().accepted).toBe(spooled.length)
      await expect.poll(() => next.store.stats().spooled, { timeout: 20_000 }).toBe(0)
      await expectStoredOnce(
        database,
        handed.acknowledged.map(({ alertId = '' }) => ({ alertId })),
      )
    }
  })
})

function idsOfNew(alerts: readonly NewAlert[]): readonly string[] {
  return alerts.map(({ alertId = '' }) => alertId)
}

async function openSpoolAgain(folder: string) {
  const store = await openWatched(database, { spoolDir: folder })
  return { store: store.store, [Symbol.asyncDispose]: async () => void (await store.close()) }
}

function readSpool(folder: string): readonly string[] {
  const spool = openSpool(folder)
  const { entries } = spool.readOldest(10_000, 100_000_000)
  spool.close()
  return idsOf(entries.map(({ alert }) => alert))
}

describe('F08: close', () => {
  it('in the middle of a drain leaves the rest in the spool, and stores all of it once later', async () => {
    const proxy = await openProxy(database)
    const folder = spoolFolder()
    const store = await openWatched(proxy, { spoolDir: folder, closeTimeoutMs: 500 })
    const hostId = await newHost(store.store)
    const alerts = newAlerts(3000, hostId)
    proxy.refuse({ cut: true })
    await store.insertAlerts(alerts)
    const frozen = proxy.inject({
      when: { from: 'server', message: 'CommandComplete', text: /^COPY/, nth: 2 },
      action: 'freeze',
    })
    await proxy.accept()
    await frozen.fired
    const report = await store.close()
    // The second batch is stored, but nobody has heard of it.
    expect(report).toMatchObject({ stored: 1000, spooled: 2000, inFlight: 0 })
    expect(readSpool(folder)).toHaveLength(2000)
    const next = await openWatched(database, { spoolDir: folder })
    await expect.poll(() => next.store.stats().spooled, { timeout: 20_000 }).toBe(0)
    expect(next.check('drained')).toMatchObject({ stored: 1000, duplicate: 1000 })
    await expectStoredOnce(database, alerts)
  })

  it('while a drain is frozen still writes what is buffered on the other connections', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, { spoolDir: spoolFolder(), closeTimeoutMs: 500 })
    const hostId = await newHost(store.store)
    proxy.refuse({ cut: true })
    await store.insertAlerts(newAlerts(2000, hostId))
    const frozen = proxy.inject({ when: { from: 'client', message: 'CopyDone', nth: 2 }, action: 'freeze' })
    await proxy.accept()
    await frozen.fired
    const fresh = newAlerts(5, hostId)
    for (const alert of fresh) await store.batchInsertAlerts(alert)
    expect(await store.close()).toMatchObject({ stored: 1005, spooled: 1000, inFlight: 0 })
    await expectStoredOnce(database, fresh)
  })

  it('takes no alert of a caller that still waits for room, and tells that caller', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, {
      batchSize: 10,
      maxBufferedAlerts: 10,
      overloadWaitMs: LONG_MS,
      writeTimeoutMs: LONG_MS,
      closeTimeoutMs: LONG_MS,
    })
    const hostId = await newHost(store.store)
    await store.insertAlerts(newAlerts(1, hostId))
    const frozen = proxy.inject({ when: { from: 'client', message: 'CopyDone' }, action: 'freeze' })
    const taken = newAlerts(10, hostId)
    const adding = taken.map(alert => store.batchInsertAlerts(alert))
    const waiting = newAlerts(5, hostId).map(alert => rejection(store.batchInsertAlerts(alert)))
    await frozen.fired
    const closed = store.close()
    proxy.thaw()
    expect(await closed).toMatchObject({ accepted: 11, stored: 11, inFlight: 0, rejected: 5 })
    await Promise.all(adding)
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'STORE_CLOSED' })
    await expectStoredOnce(database, taken)
  })

  it('does not wait for a list that waits for the room of a batch that nobody takes', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, {
      batchSize: 10,
      maxBufferedAlerts: 10,
      overloadWaitMs: LONG_MS,
      closeTimeoutMs: 300,
    })
    const hostId = await newHost(store.store)
    await store.insertAlerts(newAlerts(1, hostId))
    const frozen = proxy.inject({ when: { from: 'client', message: 'CopyDone' }, action: 'freeze' })
    const batch = newAlerts(10, hostId)
    const adding = Promise.allSettled(batch.map(alert => store.batchInsertAlerts(alert)))
    await frozen.fired
    const inserting = rejection(store.insertAlerts(newAlerts(5, hostId)))
    const error = await rejection(store.close())
    if (!(error instanceof AlertsNotStoredError)) throw error
    expect(idsOf(error.alerts.map(each => each.alert))).toEqual(idsOf(batch))
    expect(await inserting).toMatchObject({ code: 'STORE_CLOSED' })
    await adding
    expect(store.check('closed')).toMatchObject({ accepted: 1, stored: 1, inFlight: 0, rejected: 15 })
  })

  it('does not wait for the dead letters of a list whose server is frozen', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, {
      spoolDir: spoolFolder(),
      closeTimeoutMs: 300,
      connectTimeoutMs: LONG_MS,
      writeTimeoutMs: LONG_MS,
    })
    const hostId = await newHost(store.store)
    proxy.freezeAll()
    const unreadable = { ...newAlert(hostId), timestamp: 'never' }
    const inserting = store.insertAlerts([unreadable])
    expect(await store.close()).toMatchObject({ accepted: 0, inFlight: 0, rejected: 1 })
    expect(await inserting).toMatchObject([{ outcome: 'rejected', error: { code: 'INVALID_INPUT' } }])
  })

  it('returns the alerts of a batch that neither the database nor a full spool takes', async () => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, { spoolDir: spoolFolder(), spoolMaxBytes: 1_048_576 })
    const hostId = await newHost(store.store)
    const alerts = newAlerts(15, hostId, { eventDetail: { text: 'x'.repeat(100_000) } })
    for (const alert of alerts) await store.batchInsertAlerts(alert)
    proxy.refuse({ cut: true })
    const error = await rejection(store.close())
    if (!(error instanceof AlertsNotStoredError)) throw error
    expect(idsOf(error.alerts.map(each => each.alert))).toEqual(idsOf(alerts))
    expect(error.alerts[0]).toMatchObject({ error: { code: 'SPOOL_FULL' } })
    expect(store.check('closed')).toMatchObject({ accepted: 0, inFlight: 0, rejected: 15 })
  })
})
