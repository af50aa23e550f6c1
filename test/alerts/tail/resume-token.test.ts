import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { parseAlertFilter } from '../../../src/alerts/query/alert-filter.ts'
import { decodeResumeToken, encodeResumeToken } from '../../../src/alerts/tail/resume-token.ts'
import type { AlertPlace, TailPosition } from '../../../src/alerts/tail/tail-position.ts'
import type { AlertTailOptions, Store } from '../../../src/index.ts'
import { newAlerts, newHost, openStore, rejection } from '../../store/fixtures.ts'
import { runAdminSql, withDatabaseName } from '../../support/admin-sql.ts'
import { useTestDatabase } from '../../support/test-database.ts'

const database = useTestDatabase()

let store: Store
let hostId: string
beforeAll(async () => {
  store = await openStore(database)
  hostId = await newHost(store)
})
afterAll(() => store.close())

/** The token behind an alert that was just stored. */
async function newToken(options: AlertTailOptions = {}): Promise<string> {
  await using tail = store.tailAlerts(options)
  await tail.started()
  await store.insertAlerts(newAlerts(1, hostId))
  const { value } = await tail.next()
  return value?.resumeToken ?? ''
}

/** One that waits for no transaction, also not for one of another database of the server. */
async function newSettledToken(): Promise<string> {
  for (;;) {
    const token = await newToken()
    const { position } = decodeResumeToken('token', token, parseAlertFilter('filter', {}))
    if (position.open.length === 0) return token
  }
}

async function failureOf(after: string, from = store): Promise<unknown> {
  await using tail = from.tailAlerts({ after })
  // The tail is closed at the end of the function.
  return await rejection(tail.next())
}

/** Until the newest row alone is left: rows that are newer than a transaction of another database stay for as long as that runs. */
async function prune(keep: string): Promise<void> {
  const rows = async () => {
    await database.sql(`SELECT prune_alert_journal(INTERVAL '${keep}')`)
    return database.sql('SELECT FROM alert_journal')
  }
  await expect.poll(rows, { timeout: 20_000 }).toHaveLength(1)
}

const xid = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const moment = fc.constantFrom('2026-11-26T03:00:00.123456', 'infinity', '0044-03-15T00:00:00 BC')
const anyPosition: fc.Arbitrary<TailPosition> = fc.record({
  newest: fc.record({ xid, writtenAt: fc.option(moment) }),
  open: fc.array(xid),
  partial: fc.option(
    fc.record({
      xid,
      after: fc.record({ receivedAt: moment, alertId: fc.uuid(), hostId: fc.uuid() }),
    }),
  ),
  since: fc.option(moment),
})

describe('a resume token', () => {
  it('comes back as the same position', () => {
    const filter = parseAlertFilter('filter', { severity: 'WARN' })
    fc.assert(
      fc.property(anyPosition, fc.string(), (given, identity) => {
        const token = encodeResumeToken({ identity, position: given }, filter)
        expect(decodeResumeToken('after', token, filter)).toEqual({ identity, position: given })
      }),
    )
  })

  it('comes back with as many open transactions as a server can have', () => {
    const filter = parseAlertFilter('filter', {})
    const open = Array.from({ length: 2 ** 18 }, (_, index) => 2n ** 64n - 1n - BigInt(index))
    const given = { newest: { xid: 7n, writtenAt: null }, open, partial: null, since: null }
    const token = encodeResumeToken({ identity: '1.2.3', position: given }, filter)
    expect(decodeResumeToken('after', token, filter).position.open).toHaveLength(2 ** 18)
  })

  const place: TailPosition = { newest: { xid: 7n, writtenAt: null }, open: [], partial: null, since: null }
  const alertPlace: AlertPlace = {
    receivedAt: '2026-11-26T03:00:00',
    alertId: randomUUID(),
    hostId: randomUUID(),
  }
  const within = (changed: Partial<typeof alertPlace>): TailPosition => ({
    ...place,
    partial: { xid: 7n, after: { ...alertPlace, ...changed } },
  })
  const writtenAt = (moment: string): TailPosition => ({ ...place, newest: { xid: 7n, writtenAt: moment } })
  it.each<[string, TailPosition]>([
    ['a number above 2^64', { ...place, newest: { xid: 2n ** 64n, writtenAt: null } }],
    ['an open number above 2^64', { ...place, open: [2n ** 64n] }],
    ['a partial number above 2^64', { ...place, partial: { xid: 2n ** 64n, after: alertPlace } }],
    ['an alert that is no UUID', within({ alertId: 'x' })],
    ['a host that is no UUID', within({ hostId: '' })],
    ['an alert of no moment', within({ receivedAt: 'yesterday' })],
    ['a 30th of February', within({ receivedAt: '2024-02-30T00:00:00Z' })],
    ['a 29th of February in a year that has none', writtenAt('2100-02-29T00:00:00')],
    ['a year that the server does not know', writtenAt('294277-01-01T00:00:00')],
    ['a year 0', writtenAt('0000-01-01T00:00:00')],
    ['a year before the first', writtenAt('4714-01-01T00:00:00 BC')],
    ['an hour 24', { ...place, since: '2026-11-26T24:00:00' }],
    ['no moment to begin with', { ...place, since: '' }],
  ])('is refused when it was forged with %s', (_, position) => {
    const token = encodeResumeToken({ identity: '1.2.3', position }, parseAlertFilter('filter', {}))
    expect(() => store.tailAlerts({ after: token })).toThrow('options.after')
  })

  it.each([
    '2024-02-29T23:59:59.999999',
    '2400-02-29T00:00:00Z',
    '294276-12-31T23:59:59.999999',
    '0005-02-29T00:00:00 BC',
    '4713-01-02T00:00:00 BC',
    '-infinity',
  ])('is read by the server with the moment %s', async moment => {
    const { identity } = decodeResumeToken('token', await newToken(), parseAlertFilter('filter', {}))
    const position = { ...within({ receivedAt: moment }), newest: { xid: 7n, writtenAt: moment } }
    const token = encodeResumeToken({ identity, position }, parseAlertFilter('filter', {}))
    expect(await failureOf(token)).toMatchObject({ code: 'TAIL_EXPIRED' })
  })

  it('is refused with any character changed, added or left out', async () => {
    const token = await newToken()
    const refused = (given: string) => () => store.tailAlerts({ after: given })
    for (let place = 0; place < token.length; place++) {
      const other = token[place] === 'A' ? 'B' : 'A'
      const changed = token.slice(0, place) + other + token.slice(place + 1)
      expect(refused(changed)).toThrow('options.after')
      expect(refused(token.slice(0, place) + token.slice(place + 1))).toThrow('options.after')
    }
    expect(refused(`${token}A`)).toThrow('options.after')
    expect(refused(`${token}=`)).toThrow('options.after')
  })

  it('is refused with another filter, and good with the same one in other words', async () => {
    const token = await newToken({ filter: { severity: ['WARN', 'CRITICAL'] } })
    expect(() => store.tailAlerts({ after: token, filter: { severity: 'WARN' } })).toThrow('same filter')
    await using tail = store.tailAlerts({ after: token, filter: { severity: ['CRITICAL', 'WARN', 'WARN'] } })
    await tail.started()
    expect(tail.resumeToken).toBe(token)
  })

  it('is expired when the journal was pruned of what came after it, and says from when to read', async () => {
    const token = await newToken()
    await store.insertAlerts(newAlerts(1, hostId))
    const late = await newSettledToken()
    await prune('1 microsecond')
    expect(await failureOf(token)).toMatchObject({
      code: 'TAIL_EXPIRED',
      hint: expect.stringMatching(/streamAlerts from \d{4}-/),
    })
    // Nothing came after this one, so nothing is missing.
    await using tail = store.tailAlerts({ after: late })
    const [alert] = newAlerts(1, hostId)
    if (alert) await store.insertAlerts([alert])
    expect((await tail.next()).value?.alert.alertId).toBe(alert?.alertId)
  })

  it('is good when all up to it was pruned', async () => {
    const token = await newSettledToken()
    const [first, second] = newAlerts(2, hostId)
    if (first) await store.insertAlerts([first])
    await database.sql(
      `UPDATE alert_journal SET written_at = written_at - INTERVAL '1 day' WHERE xid < (SELECT max(xid::text::bigint)::text::xid8 FROM alert_journal)`,
    )
    await prune('1 hour')
    if (second) await store.insertAlerts([second])
    await using tail = store.tailAlerts({ after: token })
    const delivered = [(await tail.next()).value?.alert.alertId, (await tail.next()).value?.alert.alertId]
    expect(delivered).toEqual([first?.alertId, second?.alertId])
  })

  it('is expired in a database that was set back to an earlier moment', async () => {
    const token = await newToken()
    // As after a failover to a standby that lacked the last commits: the transaction is not there.
    await database.sql(
      'DELETE FROM alert_journal WHERE xid = (SELECT xid FROM alert_journal ORDER BY xid DESC LIMIT 1)',
    )
    await store.insertAlerts(newAlerts(1, hostId))
    expect(await failureOf(token)).toMatchObject({
      code: 'TAIL_EXPIRED',
      message: expect.stringContaining('set back'),
    })
  })

  it('is expired in a copy of the database, whose own tails work', async () => {
    const token = await newToken()
    const copy = `${database.name}_copy`
    const adminUrl = inject('adminUrl')
    await store.close()
    await database.renewPooledConnections()
    await runAdminSql(adminUrl, `CREATE DATABASE ${copy} TEMPLATE ${database.name}`)
    store = await openStore(database)
    const copied = await openStore({ connectionString: withDatabaseName(database.connectionString, copy) })
    try {
      expect(await failureOf(token, copied)).toMatchObject({
        code: 'TAIL_EXPIRED',
        message: expect.stringContaining('another database'),
      })
      await using tail = copied.tailAlerts()
      await tail.started()
      const [alert] = newAlerts(1, hostId)
      if (alert) await copied.insertAlerts([alert])
      expect((await tail.next()).value?.alert.alertId).toBe(alert?.alertId)
    } finally {
      await copied.close()
      await runAdminSql(adminUrl, `DROP DATABASE ${copy} WITH (FORCE)`)
    }
  })

  it('does not pass for a tail that begins before the journal does', async () => {
    expect(await failureOf('2000-01-01T00:00:00Z')).toMatchObject({
      code: 'TAIL_EXPIRED',
      hint: expect.stringContaining('streamAlerts from 2000-01-01'),
    })
  })
})

describe('rows of the journal that came from elsewhere', () => {
  it('are forgotten, also when their numbers are far ahead', async () => {
    await database.sql(`
      UPDATE alert_journal_state SET identity = 'elsewhere';
      INSERT INTO alert_journal (xid, oldest, newest, alerts) VALUES ('9000000000000000000', now(), now(), 7)`)
    await using tail = store.tailAlerts()
    await tail.started()
    const [alert] = newAlerts(1, hostId, { ruleName: randomUUID() })
    if (alert) await store.insertAlerts([alert])
    expect((await tail.next()).value?.alert.ruleName).toBe(alert?.ruleName)
    expect(await database.sql(`SELECT FROM alert_journal WHERE xid >= '9000000000000000000'`)).toEqual([])
  })

  it('are forgotten by the maintenance as well', async () => {
    await database.sql(`UPDATE alert_journal_state SET identity = 'elsewhere'`)
    const report = await store.runMaintenance()
    expect(report.failures).toEqual([])
    expect(await database.sql('SELECT FROM alert_journal')).toEqual([])
    expect(
      await database.sql('SELECT identity = alert_journal_identity() AS own FROM alert_journal_state'),
    ).toEqual([{ own: true }])
  })
})
