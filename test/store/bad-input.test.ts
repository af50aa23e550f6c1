import { describe, expect, it } from 'vitest'
import { parseAlert } from '../../src/alerts/ingest/parse-alert.ts'
import { queryAlerts } from '../../src/alerts/query/query-alerts.ts'
import { insertAuditEntry } from '../../src/audit/insert-audit-entry.ts'
import { queryAuditEntries } from '../../src/audit/query-audit-entries.ts'
import { getHost } from '../../src/hosts/read-hosts.ts'
import { upsertHost } from '../../src/hosts/upsert-host.ts'
import { InvalidInputError, type NewAlert, Store, type StoreOptions } from '../../src/index.ts'
import type { QueryRunner, TransactionRunner } from '../../src/pg/database.ts'
import { getRule, listRules } from '../../src/rules/read-rules.ts'
import { createRule, deleteRule, updateRule } from '../../src/rules/write-rules.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { newAlert, newHost, openStore, rejection } from './fixtures.ts'

const ID = '00000000-0000-4000-8000-000000000001'
const HASH = 'a'.repeat(64)
/** Nothing listens there, so a call that gets as far as the network ends in CONNECTION_FAILED. */
const NOWHERE = 'postgres://app@127.0.0.1:1/alerts'

/** Stands in for a database that must not be reached. */
const untouchable: QueryRunner & TransactionRunner = {
  query: () => Promise.reject(new Error('the statement reached the database')),
  runScript: () => Promise.reject(new Error('the script reached the database')),
  transaction: () => Promise.reject(new Error('the transaction reached the database')),
}
const ONCE = { retryForMs: 1, signal: new AbortController().signal }

type Case = readonly [field: string, value: unknown]
const badTexts: readonly unknown[] = ['', 'a\0b', '\ud800', 'a\udc00', 7, null, undefined]
const badMoments: readonly unknown[] = [
  '2026-02-30T00:00:00Z',
  '2026-03-01T00:00:00',
  '0000-01-01T00:00:00Z',
  '2026-03-01T24:00:00Z',
  'yesterday',
  new Date(Number.NaN),
  1_772_323_200,
]
const badIds: readonly unknown[] = ['', 'not-a-uuid', `${ID}0`, `{${ID}}`, ID.replaceAll('-', ''), 7]

function casesOf(fields: Readonly<Record<string, readonly unknown[]>>): readonly Case[] {
  return Object.entries(fields).flatMap(([field, values]) => values.map((value): Case => [field, value]))
}

async function expectRefusal(call: Promise<unknown>, field: string, value: unknown): Promise<void> {
  const error = await rejection(call)
  expect(error).toBeInstanceOf(InvalidInputError)
  expect(error).toMatchObject({ code: 'INVALID_INPUT', field, message: expect.stringContaining(field) })
  expect(error instanceof InvalidInputError && Object.is(error.value, value)).toBe(true)
}

describe('an alert with a bad value is refused before anything reaches the database', () => {
  const cases = casesOf({
    alertId: [...badIds, null],
    hostId: [...badIds, null, undefined],
    timestamp: [...badMoments, null, undefined],
    tripwireType: ['file', 'DISK', '', null, undefined],
    severity: ['critical', 'FATAL', '', 3, null, undefined],
    ruleName: [...badTexts, 'x'.repeat(1001)],
    receivedAt: [...badMoments, '1999-12-31T23:59:59.999999Z', new Date(Date.now() + 32 * 86_400_000)],
    eventDetail: [1n, () => 1, Symbol('x')],
  })
  it.each(cases)('%s: %o', (field, value) => {
    const alert = { ...newAlert(ID), [field]: value }
    expect(() => parseAlert('alerts[3]', alert)).toThrowError(
      expect.objectContaining({ code: 'INVALID_INPUT', field: `alerts[3].${field}` }),
    )
  })
})

describe('a host with a bad value is refused before anything reaches the database', () => {
  const cases = casesOf({
    hostId: [...badIds, null],
    hostname: [...badTexts, 'x'.repeat(256)],
    ipAddress: ['', 'localhost', '1.2.3.4/33', 7],
    platform: ['', 'a\0b', '\ud800', 'x'.repeat(1001)],
    agentVersion: ['', 'a\0b', '\ud800', 1.2],
    lastSeen: badMoments,
    status: ['online', 'UP', '', 1],
  })
  it.each(cases)('%s: %o', async (field, value) => {
    const host = { hostname: 'web-1', [field]: value }
    await expectRefusal(upsertHost(untouchable, host), `host.${field}`, value)
  })
})

describe('a rule with a bad value is refused before anything reaches the database', () => {
  const cases = casesOf({
    ruleId: badIds,
    hostId: badIds,
    ruleType: ['file', '', null, undefined],
    target: [...badTexts, 'x'.repeat(4097)],
    severity: ['warn', 'FATAL', 1],
    enabled: ['true', 1],
  })
  const rule = { ruleId: ID, hostId: null, ruleType: 'FILE', target: '/', severity: 'INFO', enabled: true }
  it.each(cases)('%s: %o', async (field, value) => {
    await expectRefusal(createRule(untouchable, { ...rule, [field]: value }), `rule.${field}`, value)
    await expectRefusal(updateRule(untouchable, { ...rule, [field]: value }), `rule.${field}`, value)
  })
})

describe('an audit entry with a bad value is refused before anything reaches the database', () => {
  const cases = casesOf({
    entryId: badIds,
    hostId: [...badIds, undefined],
    sequenceNum: [0, -1, 1.5, 2 ** 53, Number.NaN, '1', undefined],
    eventHash: ['', HASH.toUpperCase(), HASH.slice(1), `${HASH}\n`, null, undefined],
    prevHash: ['', 'x'.repeat(64), undefined],
    payload: [undefined, 1n],
    createdAt: badMoments,
  })
  const entry = { hostId: ID, sequenceNum: 1, eventHash: HASH, prevHash: HASH, payload: {} }
  it.each(cases)('%s: %o', async (field, value) => {
    await expectRefusal(
      insertAuditEntry(untouchable, { ...entry, [field]: value }, ONCE),
      `entry.${field}`,
      value,
    )
  })
})

describe('a query with a bad value is refused before anything reaches the database', () => {
  const span = { from: '2026-03-01T00:00:00Z', to: '2026-03-02T00:00:00Z' }
  const cases = casesOf({
    from: badMoments,
    to: [...badMoments, '2026-02-28T23:59:59.999999Z'],
    hostId: badIds,
    severity: ['critical', 'FATAL', ''],
    limit: [0, -1, 10_001, 1.5, '100', Number.NaN, Number.POSITIVE_INFINITY],
    offset: [-1, 0.5, '0', 2 ** 53],
  })
  it.each(cases)('%s: %o', async (field, value) => {
    await expectRefusal(queryAlerts(untouchable, { ...span, [field]: value }), `query.${field}`, value)
  })

  it('of audit entries as well', async () => {
    for (const [field, value] of casesOf({ hostId: badIds, from: badMoments, to: badMoments })) {
      const query = { hostId: ID, [field]: value }
      await expectRefusal(queryAuditEntries(untouchable, query), `query.${field}`, value)
    }
    const reversed = { hostId: ID, from: span.to, to: span.from }
    await expectRefusal(queryAuditEntries(untouchable, reversed), 'query.to', span.from)
  })

  it.each(badIds)('by an id that is none: %o', async id => {
    const text = id as string
    await expectRefusal(getHost(untouchable, text), 'hostId', id)
    await expectRefusal(getRule(untouchable, text), 'ruleId', id)
    await expectRefusal(deleteRule(untouchable, text), 'ruleId', id)
    await expectRefusal(listRules(untouchable, text), 'hostId', id)
  })
})

describe('what is not even an object', () => {
  it.each([undefined, null, 'text', 7, []])('is refused: %o', async given => {
    await expectRefusal(upsertHost(untouchable, given), 'host', given)
    await expectRefusal(createRule(untouchable, given), 'rule', given)
    await expectRefusal(insertAuditEntry(untouchable, given, ONCE), 'entry', given)
    await expectRefusal(queryAlerts(untouchable, given), 'query', given)
    await expectRefusal(Store.open(given as unknown as StoreOptions), 'options', given)
  })
})

describe('a misspelt name', () => {
  it.each([
    ['severity', 'CRITCAL', 'CRITICAL'],
    ['severity', 'warning', 'WARN'],
    ['tripwireType', 'NETWROK', 'NETWORK'],
  ])('in %s gets the likely one as a hint: %s', (field, value, meant) => {
    expect(() => parseAlert('alert', { ...newAlert(ID), [field]: value })).toThrowError(
      expect.objectContaining({ field: `alert.${field}`, value, hint: `did you mean ${meant}?` }),
    )
  })

  it('of an option or a field gets the likely one as a hint', async () => {
    expect(await rejection(Store.open({ connectionString: NOWHERE, ...{ batchsize: 5 } }))).toMatchObject({
      code: 'UNKNOWN_OPTION',
      field: 'options.batchsize',
      hint: 'did you mean batchSize?',
    })
    const query = { from: new Date(), to: new Date(), limt: 5 }
    expect(await rejection(queryAlerts(untouchable, query))).toMatchObject({
      code: 'UNKNOWN_OPTION',
      field: 'query.limt',
      hint: 'did you mean limit?',
    })
  })
})

describe('an option out of its bounds is refused before anything reaches the network', () => {
  const cases = casesOf({
    batchSize: [0, 5001, 1.5, '100', Number.NaN],
    flushIntervalMs: [0, -1, 86_400_001],
    maxBufferedAlerts: [99, 1e9],
    maxBufferedBytes: [0, 1_048_575],
    overloadWaitMs: [0],
    writerConnections: [0, 65],
    writeTimeoutMs: [0, 1.5],
    retryForMs: [0, '5'],
    deduplicateAllMonths: ['yes', 1],
    maxConnections: [0, 1001],
    connectTimeoutMs: [0],
    closeTimeoutMs: [0],
    applicationName: ['', 'x'.repeat(64), 'a\0b'],
  })
  it.each(cases)('%s: %o', async (field, value) => {
    await expectRefusal(Store.open({ connectionString: NOWHERE, [field]: value }), field, value)
  })

  it('and one within them gets as far as the network', async () => {
    const options = { connectionString: NOWHERE, batchSize: 5000, maxBufferedAlerts: 5000 }
    expect(await rejection(Store.open(options))).toMatchObject({ code: 'CONNECTION_FAILED' })
  })
})

describe('a store', () => {
  const database = useTestDatabase()
  it('does not take a bad alert into the batch, and counts nothing', async () => {
    await using store = await openStore(database)
    const alert = newAlert(await newHost(store), { severity: 'SEVERE' as NewAlert['severity'] })
    expect(await rejection(store.batchInsertAlerts(alert))).toMatchObject({
      field: 'alert.severity',
      value: 'SEVERE',
    })
    expect(store.stats()).toMatchObject({ accepted: 0, inFlight: 0 })
  })
})
