import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RawJson } from '../../src/index.ts'
import { openSpool, overwrite, spoolFolder } from '../spool/support.ts'
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
const MIB = 1_048_576

/** Alerts that carry their number, so that their order can be told. */
function numbered(count: number, hostId: string, first = 0) {
  return Array.from({ length: count }, (_, index) =>
    newAlert(hostId, { ruleName: String(first + index).padStart(6, '0') }),
  )
}

/** A store with a spool, on connections that were used before. */
async function setUp(options: Parameters<typeof openWatched>[1] = {}) {
  const proxy = await openProxy(database)
  const folder = spoolFolder()
  const store = await openWatched(proxy, { spoolDir: folder, ...options })
  const hostId = await newHost(store.store)
  await store.insertAlerts(newAlerts(1, hostId))
  return { proxy, folder, store, hostId }
}

describe('F06: with a spool, alerts of the time in which the database is away', () => {
  it('are answered as spooled, and stored once and in order when it is back', async () => {
    const { proxy, store, hostId } = await setUp({ batchSize: 50 })
    proxy.refuse({ cut: true })
    const alerts = numbered(2600, hostId)
    expect(outcomesOf(await store.insertAlerts(alerts.slice(0, 1000)))).toEqual(
      alerts.slice(0, 1000).map(() => 'spooled'),
    )
    for (const alert of alerts.slice(1000, 1500)) await store.batchInsertAlerts(alert)
    for (let first = 1500; first < 2600; first += 100) {
      await store.insertAlerts(alerts.slice(first, first + 100))
    }
    expect(store.check('away')).toMatchObject({ accepted: 2601, stored: 1, spooled: 2600, inFlight: 0 })
    await expectNotStored(database, alerts)
    await proxy.accept()
    await untilAtRest(store)
    expect(store.check('back')).toMatchObject({ accepted: 2601, stored: 2601, duplicate: 0, rejected: 0 })
    await expectStoredOnce(database, alerts)
    const rows = await database.sql(
      `SELECT
         bool_and(received_at >= previous_time) AS in_order_of_time,
         bool_and(written >= previous_written) AS written_in_order
       FROM (
         SELECT
           received_at,
           lag(received_at, 1, received_at) OVER numbers AS previous_time,
           xmin::text::bigint AS written,
           lag(xmin::text::bigint, 1, xmin::text::bigint) OVER numbers AS previous_written
         FROM alerts
         WHERE host_id = '${hostId}' AND rule_name ~ '^[0-9]+$'
         WINDOW numbers AS (ORDER BY rule_name)
       ) AS alerts`,
    )
    expect(rows).toEqual([{ in_order_of_time: true, written_in_order: true }])
    expect(store.events.filter(event => event.startsWith('database'))).toEqual([
      'databaseAway',
      'databaseBack',
    ])
    expect(outcomesOf(await store.insertAlerts([newAlert(hostId)]))).toEqual(['stored'])
  })

  it('are stored once when the database goes away again in the middle of the drain', async () => {
    const { proxy, store, hostId } = await setUp()
    proxy.refuse({ cut: true })
    const alerts = numbered(3500, hostId)
    await store.insertAlerts(alerts)
    const applied = proxy.inject({
      when: { from: 'server', message: 'CommandComplete', text: /^COPY/, nth: 2 },
      action: 'cut-before',
    })
    const notApplied = proxy.inject({
      when: { from: 'client', message: 'CopyDone', nth: 3 },
      action: 'cut-before',
    })
    await proxy.accept()
    await applied.settled
    await notApplied.settled
    await untilAtRest(store)
    expect(store.check('back')).toMatchObject({ accepted: 3501, stored: 2501, duplicate: 1000 })
    await expectStoredOnce(database, alerts)
  })

  it('do not keep fresh alerts waiting while they are drained', async () => {
    const { proxy, store, hostId } = await setUp({ writeTimeoutMs: 60_000 })
    proxy.refuse({ cut: true })
    const alerts = numbered(2500, hostId)
    await store.insertAlerts(alerts)
    const frozen = proxy.inject({ when: { from: 'client', message: 'CopyDone', nth: 2 }, action: 'freeze' })
    await proxy.accept()
    await once(store.store, 'databaseBack')
    await frozen.fired
    const fresh = newAlerts(5, hostId)
    expect(outcomesOf(await store.insertAlerts(fresh))).toEqual(fresh.map(() => 'stored'))
    expect(store.check('half drained')).toMatchObject({ stored: 1006, spooled: 1500 })
    proxy.thaw()
    await untilAtRest(store)
    await expectStoredOnce(database, [...alerts, ...fresh])
  })

  it('are spooled as well when it is frozen, and stored once', async () => {
    const { proxy, store, hostId } = await setUp({ writeTimeoutMs: 500 })
    proxy.freezeAll()
    const alerts = numbered(300, hostId)
    expect(outcomesOf(await store.insertAlerts(alerts))).toEqual(alerts.map(() => 'spooled'))
    await expectNotStored(database, alerts)
    proxy.thaw()
    await untilAtRest(store)
    await expectStoredOnce(database, alerts)
  })

  it('are spooled when memory is full because it is slow, and stored once', async () => {
    const { proxy, store, hostId } = await setUp({
      batchSize: 10,
      maxBufferedAlerts: 20,
      overloadWaitMs: 10,
      writeTimeoutMs: 60_000,
    })
    const slow = proxy.inject({ when: { from: 'client', message: 'CopyDone' }, action: 'freeze' })
    const held = newAlerts(20, hostId).map(alert => ({ alert, added: store.batchInsertAlerts(alert) }))
    await slow.fired
    const alone = numbered(5, hostId)
    await Promise.all(alone.map(alert => store.batchInsertAlerts(alert)))
    const list = numbered(30, hostId, 5)
    expect(outcomesOf(await store.insertAlerts(list))).toEqual(list.map(() => 'spooled'))
    expect(store.check('overloaded')).toMatchObject({ accepted: 56, inFlight: 20, rejected: 0 })
    expect(store.events).not.toContain('databaseAway')
    proxy.thaw()
    await Promise.all(held.map(({ added }) => added))
    await untilAtRest(store)
    expect(store.check('at rest')).toMatchObject({ accepted: 56, stored: 56 })
    await expectStoredOnce(database, [...held.map(({ alert }) => alert), ...alone, ...list])
  })

  it('are kept as dead letters when the database refuses them later', async () => {
    const { proxy, store, hostId } = await setUp()
    proxy.refuse({ cut: true })
    const bad = newAlert(hostId, { eventDetail: RawJson.fromText('"\\u0000"') })
    const unknown = newAlert('00000000-0000-0000-0000-0000000000bb')
    const good = numbered(3, hostId)
    expect(outcomesOf(await store.insertAlerts([bad, ...good, unknown]))).toEqual(
      Array.from({ length: 5 }, () => 'spooled'),
    )
    await proxy.accept()
    await untilAtRest(store)
    expect(store.check('back')).toMatchObject({ accepted: 6, stored: 4, deadLettered: 2 })
    await expectStoredOnce(database, good)
    const letters = await store.store.listDeadLetters()
    expect(letters.map(letter => letter.alertId).sort()).toEqual([bad.alertId, unknown.alertId].sort())
  })
})

describe('F06: a spool that is full', () => {
  it('refuses what does not fit with SPOOL_FULL, and loses none of what it took', async () => {
    const { proxy, store, hostId } = await setUp({ spoolMaxBytes: MIB })
    proxy.refuse({ cut: true })
    const spooled = []
    const refused = []
    for (const alert of newAlerts(15, hostId, { eventDetail: { text: 'x'.repeat(100_000) } })) {
      try {
        expect(outcomesOf(await store.insertAlerts([alert]))).toEqual(['spooled'])
        spooled.push(alert)
      } catch (error) {
        expect(error).toMatchObject({ code: 'SPOOL_FULL' })
        refused.push(alert)
      }
    }
    expect([spooled.length, refused.length]).toEqual([10, 5])
    expect(store.check('full')).toMatchObject({ accepted: 11, spooled: 10, inFlight: 0, rejected: 5 })
    await proxy.accept()
    await untilAtRest(store)
    await expectStoredOnce(database, spooled)
    await expectNotStored(database, refused)
  })

  it('keeps the batch in memory, and it is stored when the database is back', async () => {
    const { proxy, store, hostId } = await setUp({ spoolMaxBytes: MIB, flushIntervalMs: 5 })
    proxy.refuse({ cut: true })
    const failed = once(store.store, 'flushFailed')
    const alerts = newAlerts(15, hostId, { eventDetail: { text: 'x'.repeat(100_000) } })
    await Promise.all(alerts.map(alert => store.batchInsertAlerts(alert)))
    expect((await failed)[0]).toMatchObject({ error: { code: 'SPOOL_FULL' } })
    await proxy.accept()
    await untilAtRest(store)
    await expectStoredOnce(database, alerts)
  })

  it('from the first batch on does not keep a call from the database that is back', async () => {
    const { proxy, store, hostId } = await setUp({ spoolMaxBytes: MIB })
    proxy.refuse({ cut: true })
    const alerts = newAlerts(15, hostId, { eventDetail: { text: 'x'.repeat(100_000) } })
    expect(await rejection(store.insertAlerts(alerts))).toMatchObject({ code: 'SPOOL_FULL' })
    await proxy.accept()
    expect(outcomesOf(await store.insertAlerts(alerts))).toEqual(alerts.map(() => 'stored'))
    expect(store.events.filter(event => event.startsWith('database'))).toEqual([
      'databaseAway',
      'databaseBack',
    ])
  })

  it('takes one part of a large batch and not the other: each part is stored once, and counted once', async () => {
    const { proxy, store, hostId } = await setUp({
      batchSize: 5000,
      spoolMaxBytes: 2 * MIB,
      writerConnections: 1,
    })
    const detail = { eventDetail: { text: 'x'.repeat(300) } }
    const buffered = newAlerts(4999, hostId, detail)
    for (const alert of buffered) await store.batchInsertAlerts(alert)
    proxy.refuse({ cut: true })
    // The list is sent first, so the end of the batch does not fit into the same write.
    const list = newAlerts(1000, hostId, detail)
    const [listed, flushed] = await Promise.allSettled([store.insertAlerts(list), store.flush()])
    expect(listed).toMatchObject({ status: 'fulfilled' })
    expect(flushed).toMatchObject({ status: 'rejected', reason: { code: 'SPOOL_FULL' } })
    expect(store.check('full')).toMatchObject({ spooled: 5000, inFlight: 4999, rejected: 0 })
    await proxy.accept()
    await expect.poll(() => store.store.stats().spooled, { timeout: 20_000, interval: 5 }).toBe(0)
    await store.flush()
    // 4,000 of the batch were in the spool and in memory.
    expect(store.check('back')).toMatchObject({ stored: 6000, duplicate: 4000, inFlight: 0 })
    await expectStoredOnce(database, [...buffered, ...list])
  })
})

describe('a spool folder', () => {
  it('that another store has is refused with SPOOL_IN_USE', async () => {
    const { folder, proxy } = await setUp()
    expect(await rejection(openWatched(proxy, { spoolDir: folder }))).toMatchObject({ code: 'SPOOL_IN_USE' })
  })

  it('holds what was spooled when the store was closed, and the next store brings it in', async () => {
    const { folder, proxy, store, hostId } = await setUp()
    proxy.refuse({ cut: true })
    const alerts = numbered(1200, hostId)
    await store.insertAlerts(alerts)
    expect(await store.close()).toMatchObject({ spooled: 1200, inFlight: 0 })
    const next = await openWatched(database, { spoolDir: folder })
    expect(next.check('open')).toMatchObject({ accepted: 1200 })
    await untilAtRest(next)
    expect(next.check('drained')).toMatchObject({ accepted: 1200, stored: 1200 })
    await expectStoredOnce(database, alerts)
  })

  it('F07: that is damaged is opened, and what is intact in it is stored once', async () => {
    const { folder, proxy, store, hostId } = await setUp()
    proxy.refuse({ cut: true })
    const alerts = numbered(500, hostId)
    await store.insertAlerts(alerts)
    await store.close()
    const file = join(folder, 'spool.db')
    overwrite(file, readFileSync(file).indexOf('000123'), Buffer.from('damage'))
    const next = await openWatched(database, { spoolDir: folder })
    await untilAtRest(next)
    expect(next.check('drained')).toMatchObject({ accepted: 499, stored: 499 })
    const intact = alerts.filter(alert => alert.ruleName !== '000123')
    await expectStoredOnce(database, intact)
    await expectNotStored(
      database,
      alerts.filter(alert => alert.ruleName === '000123'),
    )
    expect(readdirSync(folder)).toEqual(expect.arrayContaining([expect.stringMatching(/^spool\.damaged-/)]))
  })

  it('F07: whose file is no spool at all is set aside, and the store works', async () => {
    const { folder, store } = await setUp()
    await store.close()
    const file = join(folder, 'spool.db')
    expect(existsSync(file)).toBe(true)
    overwrite(file, 0, Buffer.alloc(readFileSync(file).length, 0x5a))
    const proxy = await openProxy(database)
    const next = await openWatched(proxy, { spoolDir: folder })
    const hostId = await newHost(next.store)
    proxy.refuse({ cut: true })
    const alerts = numbered(10, hostId)
    expect(outcomesOf(await next.insertAlerts(alerts))).toEqual(alerts.map(() => 'spooled'))
    await proxy.accept()
    await untilAtRest(next)
    await expectStoredOnce(database, alerts)
  })

  it('is empty again after all of it was drained', async () => {
    const { folder, proxy, store, hostId } = await setUp()
    proxy.refuse({ cut: true })
    await store.insertAlerts(numbered(100, hostId))
    await proxy.accept()
    await untilAtRest(store)
    await store.close()
    expect(openSpool(folder).size).toMatchObject({ alerts: 0, bytes: 0, damaged: 0 })
  })
})
