import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GENESIS_HASH, Store, type StoreOptions } from '../../src/index.ts'
import { connectClient } from '../partitions/fixtures.ts'
import { newAlert, newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { type FaultSpec, startWireProxy } from '../support/wire-proxy.ts'

const database = useTestDatabase()
const RECIPE = readFileSync(new URL('../../db/roles.sql', import.meta.url), 'utf8')
const LONG_ENOUGH_MS = 30_000
const login = `dashboard_${randomUUID().slice(0, 8)}`
let connectionString: string

beforeAll(async () => {
  await database.sql(RECIPE)
  // It can be run again.
  await database.sql(RECIPE)
  await database.sql(`CREATE ROLE ${login} LOGIN PASSWORD 'p' IN ROLE tripwire_writer, tripwire_reader`)
  const url = new URL(database.connectionString)
  url.username = login
  url.password = 'p'
  connectionString = url.toString()
})
afterAll(async () => {
  await database.sql(`DROP OWNED BY ${login}; DROP ROLE ${login}`)
  await database.sql(
    'DROP OWNED BY tripwire_writer, tripwire_reader; DROP ROLE tripwire_writer, tripwire_reader',
  )
})

describe('the writer of the role recipe', () => {
  it('does everything that a dashboard server does', async () => {
    await using store = await openStore({ connectionString })
    const hostId = await newHost(store)
    const alert = newAlert(hostId, { receivedAt: '2024-01-05T00:00:00Z' })
    const receipts = await store.insertAlerts([alert, alert, newAlert(randomUUID())])
    expect(receipts.map(({ outcome }) => outcome)).toEqual(['stored', 'duplicate', 'rejected'])
    expect(await store.redriveDeadLetters()).toMatchObject({ refused: 1 })
    await store.appendAuditEntries(hostId, [{ n: 1 }, { n: 2 }])
    const [, last] = await store.queryAuditEntries({ hostId })
    const next = {
      hostId,
      sequenceNum: 3,
      prevHash: last?.eventHash ?? '',
      eventHash: 'a'.repeat(64),
      payload: {},
    }
    await store.insertAuditEntry(next)
    const rule = await store.createRule({ ruleType: 'FILE', target: '/etc' })
    expect(await store.deleteRule(rule.ruleId)).toBe(true)
    expect((await store.ensurePartitions({ monthsAhead: 1 })).length).toBe(2)
    expect(await store.verifyAuditChain({ hostId })).toMatchObject({ verdict: 'intact', findings: [] })
    expect((await store.listPartitions()).length).toBeGreaterThan(2)
  })

  it('follows alerts', async () => {
    await using store = await openStore({ connectionString })
    const hostId = await newHost(store)
    await using tail = store.tailAlerts({ filter: { hostId } })
    await tail.started()
    const alert = newAlert(hostId)
    await store.insertAlerts([alert])
    expect((await tail.next()).value?.alert.alertId).toBe(alert.alertId)
  })

  it.each([
    'UPDATE audit_entries SET payload = NULL',
    'DELETE FROM audit_entries',
    'TRUNCATE audit_entries',
    `INSERT INTO audit_prunings (host_id, through_sequence, through_event_hash, through_link_hash, through_created_at, manifest) SELECT host_id, 1, '', '', now(), '' FROM hosts`,
    'ALTER TABLE audit_entries DISABLE TRIGGER ALL',
    'DROP TABLE audit_entries',
    'UPDATE alerts SET rule_name = rule_name',
    'DELETE FROM alerts',
    'TRUNCATE alerts',
    'DELETE FROM hosts',
    'DELETE FROM alert_journal',
    'SELECT prune_alert_journal()',
    'SELECT expire_alert_tails()',
  ])('may not %s', async sql => {
    await using client = await connectClient(connectionString)
    await expect(client.query(sql)).rejects.toMatchObject({ code: '42501' })
  })
})

describe('the writer of the role recipe alone, without the reader', () => {
  const writer = `writer_${randomUUID().slice(0, 8)}`
  let writerConnection: string
  beforeAll(async () => {
    await database.sql(`CREATE ROLE ${writer} LOGIN PASSWORD 'p' IN ROLE tripwire_writer`)
    const url = new URL(connectionString)
    url.username = writer
    writerConnection = url.toString()
  })
  afterAll(() => database.sql(`DROP OWNED BY ${writer}; DROP ROLE ${writer}`))

  const openWriter = (options: Partial<StoreOptions> = {}) =>
    Store.open({ connectionString: writerConnection, maintenanceIntervalMs: 0, ...options })
  const countEntries = async (hostId: string) =>
    (await database.sql(`SELECT FROM audit_entries WHERE host_id = '${hostId}'`)).length
  const firstEntry = (hostId: string) => ({
    ...{ hostId, sequenceNum: 1, prevHash: GENESIS_HASH, eventHash: 'a'.repeat(64) },
    payload: { n: 1 },
  })

  it('appends to the audit log and reads nothing of it', async () => {
    await using store = await openWriter()
    const hostId = await newHost(store)
    const entries = await store.appendAuditEntries(hostId, [{ n: 1 }])
    expect(entries.map(({ sequenceNum }) => sequenceNum)).toEqual([1])
    await expect(store.queryAuditEntries({ hostId })).rejects.toMatchObject({ sqlState: '42501' })
    await using client = await connectClient(writerConnection)
    await expect(client.query('SELECT FROM audit_entries')).rejects.toMatchObject({ code: '42501' })
  })

  it('appends with entryIds, and repeats the call', async () => {
    await using store = await openWriter()
    const [hostId, other] = [await newHost(store), await newHost(store)]
    const options = { entryIds: [randomUUID(), randomUUID()] }
    const payloads = [{ b: 1, a: 'é' }, 2]
    const entries = await store.appendAuditEntries(hostId, payloads, options)
    expect(await store.appendAuditEntries(hostId, payloads, options)).toEqual(entries)
    const wrong = [
      store.appendAuditEntries(hostId, [{ b: 1, a: 'e' }, 2], options),
      store.appendAuditEntries(other, payloads, options),
    ]
    for (const each of await Promise.allSettled(wrong)) {
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'ALREADY_EXISTS' } })
    }
    await using client = await connectClient(writerConnection)
    await client.query('BEGIN')
    expect(await store.appendAuditEntries(hostId, payloads, { ...options, client })).toEqual(entries)
    await client.query('COMMIT')
    expect(await countEntries(hostId)).toBe(2)
  })

  it('repeats insertAuditEntry, and is told which other entry has the number', async () => {
    await using store = await openWriter()
    const hostId = await newHost(store)
    const stored = await store.insertAuditEntry(firstEntry(hostId))
    expect(await store.insertAuditEntry(firstEntry(hostId))).toEqual(stored)
    const error = await rejection(store.insertAuditEntry({ ...firstEntry(hostId), payload: { n: 2 } }))
    expect(error).toMatchObject({
      code: 'AUDIT_NOT_CONTINUED',
      message: expect.stringContaining(stored.entryId),
    })
    expect(await countEntries(hostId)).toBe(1)
  })

  it('learns nothing but the id of an entry whose payload it does not have', async () => {
    await using store = await openWriter()
    const hostId = await newHost(store)
    const [entry] = await store.appendAuditEntries(hostId, ['a secret'])
    await using client = await connectClient(writerConnection)
    const recognise = async (entryId: string | null, payload: string) =>
      (
        await client.query(
          `SELECT * FROM recognise_audit_entries(
             ARRAY[$1::uuid], ARRAY[$2::uuid], ARRAY[1::bigint], ARRAY[encode(sha256(convert_to($3, 'UTF8')), 'hex')]
           )`,
          [hostId, entryId, payload],
        )
      ).rows
    const id = entry?.entryId ?? ''
    for (const by of [id, null]) {
      const known = await recognise(by, '"a secret"')
      expect(known).toMatchObject([{ is_recognised: true, entry_id: id, event_hash: entry?.eventHash }])
      const [guessed] = await recognise(by, '"a guess"')
      const told = Object.entries(guessed).filter(([, value]) => value !== null)
      expect(told).toEqual([
        ['place', '1'],
        ['entry_id', id],
        ['is_recognised', false],
      ])
    }
    expect(await recognise(randomUUID(), '"a secret"')).toEqual([])
  })

  const CUT_AFTER_COMMIT: FaultSpec = {
    when: { from: 'client', message: 'Query', text: /^COMMIT/ },
    action: 'cut-after',
  }

  it('F03: recognises its entries after a connection that was cut', async () => {
    await using proxy = await startWireProxy({ target: writerConnection })
    await using store = await openWriter({
      connectionString: proxy.connectionString,
      retryForMs: LONG_ENOUGH_MS,
    })
    const hostId = await newHost(store)
    const fault = proxy.inject(CUT_AFTER_COMMIT)
    const [entry] = await store.appendAuditEntries(hostId, ['once'])
    expect([fault.count, entry?.sequenceNum, await countEntries(hostId)]).toEqual([1, 1, 1])
    const other = await newHost(store)
    const again = proxy.inject(CUT_AFTER_COMMIT)
    expect(await store.insertAuditEntry(firstEntry(other))).toMatchObject({ sequenceNum: 1 })
    expect([again.count, await countEntries(other)]).toEqual([1, 1])
  })

  it('F03: is told that the outcome is unknown where it may not look after a connection that was cut', async () => {
    await using proxy = await startWireProxy({ target: writerConnection })
    await using store = await openWriter({
      connectionString: proxy.connectionString,
      retryForMs: LONG_ENOUGH_MS,
    })
    const hostId = await newHost(store)
    const signature = 'recognise_audit_entries(UUID[], UUID[], BIGINT[], TEXT[])'
    await database.sql(`REVOKE EXECUTE ON FUNCTION ${signature} FROM tripwire_writer`)
    proxy.inject(CUT_AFTER_COMMIT)
    const error = await rejection(store.appendAuditEntries(hostId, ['perhaps']))
    await database.sql(RECIPE)
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(await countEntries(hostId)).toBe(1)
  })
})
