import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Alert, AlertTail, Store } from '../../../src/index.ts'
import { newAlert, newAlerts, newHost, openStore, rejection } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { EventOrder, WriterSession } from './writer-session.ts'

const database = useTestDatabase()

let store: Store
beforeAll(async () => {
  store = await openStore(database)
  await store.ensurePartitions()
})
afterAll(() => store.close())

/** The next so many alerts of a tail. */
async function take(tail: AlertTail, count: number): Promise<readonly Alert[]> {
  const alerts: Alert[] = []
  while (alerts.length < count) {
    const { value } = await tail.next()
    if (value === undefined) throw new Error('the tail ended')
    alerts.push(value.alert)
  }
  return alerts
}

const idsOf = (alerts: readonly { readonly alertId?: string | undefined }[]) =>
  alerts.map(({ alertId }) => alertId)

async function withWriter(hostId: string, work: (writer: WriterSession) => Promise<void>): Promise<void> {
  const writer = await WriterSession.connect(database.directConnectionString, hostId, new EventOrder())
  try {
    await work(writer)
  } finally {
    await writer.close()
  }
}

describe('a tail', () => {
  it('delivers what is stored after the call, as it is stored', async () => {
    const hostId = await newHost(store)
    await store.insertAlerts(newAlerts(2, hostId))
    await using tail = store.tailAlerts({ filter: { hostId } })
    await tail.started()
    const alert = newAlert(hostId, {
      eventDetail: { path: '/etc/passwd' },
      receivedAt: '2026-11-01T00:00:00.123456Z',
    })
    await store.insertAlerts([alert])
    expect(await take(tail, 1)).toEqual([await store.getAlert(alert.alertId)])
  })

  it('wakes when a flush of another store ends, long before it would look by itself', async () => {
    const hostId = await newHost(store)
    // Nobody listens through a pooler.
    await using listener = await openStore({ connectionString: database.directConnectionString })
    await using tail = listener.tailAlerts({ filter: { hostId }, pollIntervalMs: 3_600_000 })
    await tail.started()
    const listening = `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = '${database.name}' AND query LIKE 'LISTEN%'`
    await expect.poll(async () => (await database.sql(listening))[0]).toEqual({ count: 1 })
    await using other = await openStore(database)
    const alerts = newAlerts(3, hostId)
    await other.insertAlerts(alerts)
    expect(idsOf(await take(tail, 3)).sort()).toEqual(idsOf(alerts).sort())
  })

  it('delivers what its filter lets pass, and its place moves on with what it does not', async () => {
    const hostId = await newHost(store)
    const filter = { hostId, severity: 'CRITICAL', ruleName: ['a', 'b'], detail: { user: 'root' } } as const
    await using tail = store.tailAlerts({ filter, pollIntervalMs: 10 })
    await tail.started()
    const begin = tail.resumeToken
    const wanted = newAlert(hostId, {
      severity: 'CRITICAL',
      ruleName: 'b',
      eventDetail: { user: 'root', uid: 0 },
    })
    await store.insertAlerts([{ ...wanted, alertId: newAlert(hostId).alertId, severity: 'WARN' }])
    const next = take(tail, 1)
    await expect.poll(() => tail.resumeToken).not.toBe(begin)
    await store.insertAlerts([wanted])
    expect(idsOf(await next)).toEqual([wanted.alertId])
  })

  it('begins with a moment, and brings what was stored from then on', async () => {
    const hostId = await newHost(store)
    await store.insertAlerts(newAlerts(2, hostId))
    const [row] = await database.sql(
      `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
    )
    const after = String(row?.['now'])
    const late = newAlert(hostId, { receivedAt: '2026-11-01T00:00:00Z' })
    await store.insertAlerts([late])
    await using tail = store.tailAlerts({ after, filter: { hostId }, pollIntervalMs: 10 })
    expect(idsOf(await take(tail, 1))).toEqual([late.alertId])
    const [now] = newAlerts(1, hostId)
    if (now) await store.insertAlerts([now])
    expect(idsOf(await take(tail, 1))).toEqual([now?.alertId])
  })

  it('is not held up by a transaction that stays open, and delivers that one when it commits', async () => {
    const hostId = await newHost(store)
    await using tail = store.tailAlerts({ filter: { hostId }, pollIntervalMs: 10 })
    await tail.started()
    await withWriter(hostId, async writer => {
      await writer.begin()
      await writer.insert(3, '1ms')
      const quick = newAlerts(2, hostId)
      await store.insertAlerts(quick)
      expect(idsOf(await take(tail, 2)).sort()).toEqual(idsOf(quick).sort())
      await writer.commit()
      const committed = writer.committed[0]?.alerts ?? []
      expect(idsOf(await take(tail, 3)).sort()).toEqual(idsOf(committed).sort())
    })
  })

  it('delivers a transaction of many thousands in parts, in the order of receivedAt, and goes on within it', async () => {
    const hostId = await newHost(store)
    const filter = { hostId }
    await using first = store.tailAlerts({ filter })
    await first.started()
    await database.sql(`
      INSERT INTO alerts
      SELECT gen_random_uuid(), '${hostId}', now(), 'FILE', 'r', NULL, 'INFO', now() - (n % 3) * INTERVAL '1 hour'
      FROM generate_series(1, 5000) AS n`)
    const [row] = await database.sql(`
      SELECT array_agg(alert_id::text ORDER BY received_at, alert_id) AS ids FROM alerts WHERE host_id = '${hostId}'`)
    const delivered = idsOf(await take(first, 1500))
    const { resumeToken } = first
    await first.close()
    await using second = store.tailAlerts({ filter, after: resumeToken })
    delivered.push(...idsOf(await take(second, 3500)))
    expect(delivered).toEqual(row?.['ids'])
  })

  it('catches up with hundreds of transactions in the order in which they came, and goes on anywhere between', async () => {
    const hostId = await newHost(store)
    const filter = { hostId }
    const [first, same] = [store.tailAlerts({ filter }), store.tailAlerts({ filter })]
    await Promise.all([first.started(), same.started()])
    await withWriter(hostId, async writer => {
      for (let round = 0; round < 300; round++) await writer.insert(1 + (round % 20), '0s')
      const wanted = writer.committed.map(({ alerts }) => idsOf(alerts).sort())
      const total = wanted.flat().length
      const delivered: (string | undefined)[] = []
      let tail = first
      while (delivered.length < total) {
        const count = Math.min(433, total - delivered.length)
        delivered.push(...idsOf(await take(tail, count)))
        const { resumeToken } = tail
        await tail.close()
        tail = store.tailAlerts({ filter, after: resumeToken })
      }
      await tail.close()
      // Within one of them they are in the order of receivedAt.
      const left = [...delivered]
      const byTransaction = wanted.map(({ length }) => left.splice(0, length).sort())
      expect(byTransaction).toEqual(wanted)
      expect(idsOf(await take(same, total)).sort()).toEqual(wanted.flat().sort())
      await same.close()
    })
  })

  it('delivers an alert with what it holds when it is read, and anew when it is changed later', async () => {
    const hostId = await newHost(store)
    await using tail = store.tailAlerts({ filter: { hostId } })
    await tail.started()
    const [changed, removed, kept] = newAlerts(3, hostId)
    await store.insertAlerts([changed, removed, kept].filter(alert => alert !== undefined))
    await database.sql(`UPDATE alerts SET rule_name = 'changed' WHERE alert_id = '${changed?.alertId}'`)
    await database.sql(`DELETE FROM alerts WHERE alert_id = '${removed?.alertId}'`)
    expect((await take(tail, 2)).map(({ ruleName }) => ruleName)).toEqual(['etc-passwd', 'changed'])
    await database.sql(`UPDATE alerts SET rule_name = 'again' WHERE alert_id = '${changed?.alertId}'`)
    expect((await take(tail, 1)).map(({ ruleName }) => ruleName)).toEqual(['again'])
  })

  it('delivers what was frozen and stored anew before it came to it', async () => {
    const hostId = await newHost(store)
    await using tail = store.tailAlerts({ filter: { hostId } })
    await tail.started()
    const alerts = newAlerts(20, hostId)
    await store.insertAlerts(alerts)
    await database.sql('VACUUM FREEZE alerts')
    await database.sql('VACUUM FULL alerts')
    await database.sql('VACUUM FREEZE alert_journal')
    expect(idsOf(await take(tail, 20)).sort()).toEqual(idsOf(alerts).sort())
  })

  it('keeps a page in memory and holds no connection while its consumer is slow', async () => {
    const hostId = await newHost(store)
    await using tail = store.tailAlerts({ filter: { hostId } })
    await tail.started()
    await store.insertAlerts(newAlerts(3000, hostId))
    await take(tail, 1)
    const busy = `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = '${database.name}' AND state <> 'idle' AND pid <> pg_backend_pid()`
    await expect.poll(async () => (await database.sql(busy))[0]).toEqual({ count: 0 })
    await database.sql(`DELETE FROM alerts WHERE host_id = '${hostId}'`)
    const marker = newAlert(hostId)
    await store.insertAlerts([marker])
    // What is not of the page that was read is gone.
    const rest: (string | undefined)[] = []
    do rest.push(...idsOf(await take(tail, 1)))
    while (rest.at(-1) !== marker.alertId)
    expect(rest).toHaveLength(1000)
  })
})

describe('the end of a tail', () => {
  it('comes with break, and leaves no connection that listens', async () => {
    const hostId = await newHost(store)
    await using own = await openStore(database, { applicationName: 'ends' })
    const tail = own.tailAlerts({ filter: { hostId }, pollIntervalMs: 10 })
    await tail.started()
    await own.insertAlerts(newAlerts(3, hostId))
    for await (const { alert } of tail) {
      expect(alert.hostId).toBe(hostId)
      break
    }
    expect(await tail.next()).toEqual({ done: true, value: undefined })
    const listening = `SELECT FROM pg_stat_activity WHERE application_name = 'ends' AND query LIKE 'LISTEN%'`
    await expect.poll(() => database.sql(listening)).toEqual([])
  })

  it('comes with the signal, whose reason is thrown, also while nothing comes', async () => {
    const stop = new AbortController()
    const tail = store.tailAlerts({ signal: stop.signal, filter: { ruleName: 'never' } })
    const failing = rejection(tail.next())
    await tail.started()
    const reason = new Error('enough')
    stop.abort(reason)
    expect(await failing).toBe(reason)
    expect(await tail.next()).toEqual({ done: true, value: undefined })
    expect(() => store.tailAlerts({ signal: stop.signal })).toThrow(reason)
  })

  it('comes with the store, and says so', async () => {
    const own = await openStore(database)
    const tail = own.tailAlerts({ filter: { ruleName: 'never' } })
    const failing = rejection(tail.next())
    await tail.started()
    await own.close()
    expect(await failing).toMatchObject({ code: 'STORE_CLOSED' })
    expect(() => own.tailAlerts()).toThrow('closed')
  })

  it('comes for the one who waits when another one closes it', async () => {
    const tail = store.tailAlerts({ filter: { ruleName: 'never' } })
    const waiting = tail.next()
    await tail.started()
    await tail.close()
    expect(await waiting).toEqual({ done: true, value: undefined })
  })
})

it.each([
  [{ after: 7 }, 'options.after'],
  [{ after: 'x' }, 'options.after'],
  [{ after: '2026-13-01T00:00:00Z' }, 'options.after'],
  [{ filter: { severity: 'HIGH' } }, 'options.filter.severity'],
  [{ filter: { limit: 7 } }, 'options.filter.limit'],
  [{ pollIntervalMs: 1 }, 'options.pollIntervalMs'],
  [{ timeoutMs: 0 }, 'options.timeoutMs'],
  [{ onRetry: 'x' }, 'options.onRetry'],
  [{ signal: 'x' }, 'options.signal'],
  [{ from: '2026-01-01T00:00:00Z' }, 'options.from'],
])('refuses %j', async (options, field) => {
  const error = await rejection((async () => store.tailAlerts(JSON.parse(JSON.stringify(options))))())
  expect(error).toMatchObject({ field })
})
