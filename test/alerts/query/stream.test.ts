import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AlertStream } from '../../../src/alerts/query/alert-stream.ts'
import type { Alert, Store } from '../../../src/index.ts'
import { Database, type QueryRunner } from '../../../src/pg/database.ts'
import { newAlert, newHost, openStore, rejection } from '../../store/fixtures.ts'
import { lockAlerts } from '../../store/lock-alerts.ts'
import { useTestDatabase } from '../../support/test-database.ts'

const database = useTestDatabase()
const COUNT = 100
let store: Store
let ids: readonly string[]
const idsOf = (alerts: readonly Alert[]) => alerts.map(alert => alert.alertId)

beforeAll(async () => {
  store = await openStore(database, { maxConnections: 1 })
  const hostId = await newHost(store)
  const alerts = Array.from({ length: COUNT }, (_, index) =>
    newAlert(hostId, { receivedAt: new Date(Date.UTC(2026, 1, 10, 0, index)) }),
  )
  await store.insertAlerts(alerts)
  ids = alerts.map(alert => alert.alertId)
})
afterAll(() => store.close())

/** A stream that tells how many of its pages were asked for. */
function countingStream(db: Database, query: object) {
  let pages = 0
  const count = (reader: QueryRunner): QueryRunner => ({
    query: (sql, values, options) => {
      pages++
      return reader.query(sql, values, options)
    },
    runScript: sql => reader.runScript(sql),
  })
  const stream = new AlertStream(query, undefined, signal => count(db.withLimits({ signal })))
  return { stream, pages: () => pages }
}

const running = () =>
  database.sql(`
    SELECT query
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'tripwire-storage' AND state = 'active'`)

describe('a stream', () => {
  it('gives every alert once, newest or oldest first, whatever the size of its pages', async () => {
    for (const pageSize of [1, 7, 50, COUNT, COUNT + 1]) {
      const oldest = await Array.fromAsync(store.streamAlerts({ order: 'oldest', pageSize }))
      expect(idsOf(oldest)).toEqual(ids)
      expect(idsOf(await Array.fromAsync(store.streamAlerts({ pageSize })))).toEqual(ids.toReversed())
    }
    expect(await Array.fromAsync(store.streamAlerts({ ruleName: 'no such rule' }))).toEqual([])
  })

  it('reads nothing before the first alert is asked for, and then one page ahead and no more', async () => {
    const db = openDatabase()
    const { stream, pages } = countingStream(db, { pageSize: 10 })
    await nextTurn()
    expect(pages()).toBe(0)
    for (let taken = 1; taken <= 25; taken++) {
      await stream.next()
      // Time enough for more, were more asked for.
      await db.query('SELECT 1')
      expect(pages()).toBe(Math.ceil(taken / 10) + 1)
    }
    await stream.return()
    await db.close()
  })

  it('holds no connection while its consumer is busy', async () => {
    const found: Alert[] = []
    for await (const alert of store.streamAlerts({ order: 'oldest', pageSize: 10 })) {
      found.push(alert)
      // The only connection of the store.
      if (found.length % 9 === 0) expect(await store.listHosts()).toHaveLength(1)
    }
    expect(idsOf(found)).toEqual(ids)
  })

  it('that is left in the middle cancels what it reads, and leaves nothing running', async () => {
    await using db = closing(openDatabase())
    const { stream } = countingStream(db.database, { pageSize: 10 })
    for (let taken = 0; taken < 11; taken++) await stream.next()
    // The page after the next is in memory already; the one behind it will wait.
    await using lock = await lockAlerts(database)
    for (let taken = 11; taken < 21; taken++) await stream.next()
    await lock.waitForWaiters(1)
    await stream.return()
    expect(await running()).toEqual([])
    expect(await stream.next()).toEqual({ done: true, value: undefined })
  })

  it('can be left while an alert is waited for', async () => {
    await using lock = await lockAlerts(database)
    const stream = store.streamAlerts({})
    const waiting = stream.next()
    await lock.waitForWaiters(1)
    expect(await stream.return()).toEqual({ done: true, value: undefined })
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(await running()).toEqual([])
  })

  it('ends with the loop, and again after it ended', async () => {
    const stream = store.streamAlerts({ pageSize: 10 })
    for await (const _ of stream) break
    expect(await stream.next()).toEqual({ done: true, value: undefined })
    await stream.return()
    const unused = store.streamAlerts({})
    await unused.return()
    expect(await unused.next()).toEqual({ done: true, value: undefined })
  })

  it('answers calls of next in their order, when they come at once', async () => {
    const stream = store.streamAlerts({ order: 'oldest', pageSize: 3 })
    const results = await Promise.all(Array.from({ length: 8 }, () => stream.next()))
    expect(results.map(result => result.value?.alertId)).toEqual(ids.slice(0, 8))
    await stream.return()
  })
})

describe('a stream that cannot go on', () => {
  it('throws, and another one goes on from its cursor', async () => {
    const stream = store.streamAlerts({ order: 'oldest', pageSize: 10 }, { timeoutMs: 300 })
    expect(stream.cursor).toBeNull()
    const found: Alert[] = []
    const read = async () => {
      for await (const alert of stream) {
        found.push(alert)
        if (found.length === 15) lock = await lockAlerts(database)
      }
    }
    let lock: Awaited<ReturnType<typeof lockAlerts>> | undefined
    expect(await rejection(read())).toMatchObject({ code: 'TIMEOUT' })
    await lock?.release()
    // Two pages are there before the lock, or three.
    expect(found.length).toBeGreaterThanOrEqual(20)
    expect(found.length).toBeLessThan(COUNT)
    const { cursor } = stream
    const rest = await Array.fromAsync(store.streamAlerts({ order: 'oldest', cursor }))
    expect(idsOf([...found, ...rest])).toEqual(ids)
    // A page goes on from there as well.
    const page = await store.queryAlerts({ order: 'oldest', cursor, limit: 10_000 })
    expect(idsOf(page.alerts)).toEqual(idsOf(rest))
  })

  it('throws when its connection is lost, and is not tried again in silence', async () => {
    const stream = store.streamAlerts({ order: 'oldest', pageSize: 10 })
    for (let taken = 0; taken < 5; taken++) await stream.next()
    await using lock = await lockAlerts(database)
    const rest = rejection(Array.fromAsync(stream))
    await lock.waitForWaiters(1)
    await database.sql(`
      SELECT pg_terminate_backend(pid)
      FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`)
    expect(await rest).toMatchObject({ code: expect.stringMatching(/^(CONNECTION|QUERY)_FAILED$/) })
    await lock.release()
    const after = await Array.fromAsync(store.streamAlerts({ order: 'oldest', cursor: stream.cursor }))
    expect(idsOf(after)).toEqual(ids.slice(COUNT - after.length))
    expect(after.length).toBeGreaterThan(0)
  })

  it('throws the reason of its signal, also in the middle of a page', async () => {
    const stop = new AbortController()
    const stream = store.streamAlerts({ order: 'oldest' }, { signal: stop.signal })
    for (let taken = 0; taken < 5; taken++) await stream.next()
    const reason = new Error('enough')
    stop.abort(reason)
    expect(await rejection(stream.next())).toBe(reason)
    expect(await stream.next()).toEqual({ done: true, value: undefined })
    const late = store.streamAlerts({}, { signal: stop.signal })
    expect(await rejection(late.next())).toBe(reason)
  })

  it('throws STORE_CLOSED once the store is closed', async () => {
    const other = await openStore(database)
    const stream = other.streamAlerts({ order: 'oldest', pageSize: 10 })
    for (let taken = 0; taken < 5; taken++) await stream.next()
    await other.close()
    // What is in memory already is still handed out.
    const rest = rejection(Array.fromAsync(stream))
    expect(await rest).toMatchObject({ code: 'STORE_CLOSED' })
    expect(() => other.streamAlerts({})).toThrowError(expect.objectContaining({ code: 'STORE_CLOSED' }))
  })

  it('refuses bad input before it is iterated', () => {
    const bad: readonly (readonly [string, object])[] = [
      ['query.pageSize', { pageSize: 0 }],
      ['query.pageSize', { pageSize: 10_001 }],
      ['query.limit', { limit: 5 }],
      ['query.offset', { offset: 5 }],
      ['query.cursor', { cursor: 'x' }],
      ['query.order', { order: 'best' }],
    ]
    for (const [field, query] of bad) {
      expect(() => store.streamAlerts(query)).toThrowError(expect.objectContaining({ field }))
    }
  })
})

function openDatabase(): Database {
  return new Database({
    connectionString: database.connectionString,
    maxConnections: 2,
    connectTimeoutMs: 10_000,
    applicationName: 'tripwire-storage',
  })
}

function closing(db: Database): AsyncDisposable & { readonly database: Database } {
  return { database: db, [Symbol.asyncDispose]: () => db.close() }
}
