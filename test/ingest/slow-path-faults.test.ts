import { describe, expect, it } from 'vitest'
import { isRetryable } from '../../src/index.ts'
import { deadLettersOf, newAlert, newAlerts, newHost, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import type { FaultSpec, MessageMatch } from '../support/wire-proxy.ts'
import { expectStoredOnce, momentInFreshMonth, openProxy, openWatched, outcomesOf } from './support.ts'

const database = useTestDatabase()
const RETRY_FOR_MS = 20_000

/** The statements after a COPY that was refused, each in one round trip of the extended protocol. */
const STATEMENTS = [
  { statement: 'the look for unknown hosts', sql: /FROM hosts/ },
  { statement: 'the insert of what is missing', sql: /INSERT INTO alerts/ },
  { statement: 'the look for conflicts', sql: /HAVING NOT bool_or/ },
  { statement: 'the insert of dead letters', sql: /INSERT INTO alert_dead_letters/ },
]

interface Cut {
  readonly statement: string
  readonly place: string
  readonly spec: FaultSpec
}

function cutBefore(statement: string, place: string, when: MessageMatch): Cut {
  return { statement, place, spec: { when, action: 'cut-before' } }
}

const CUTS: readonly Cut[] = STATEMENTS.flatMap(({ statement, sql }, index) => {
  const nth = index + 1
  return [
    cutBefore(statement, 'not applied, at Parse', { from: 'client', message: 'Parse', text: sql }),
    cutBefore(statement, 'not applied, at Bind', { from: 'client', message: 'Bind', nth }),
    cutBefore(statement, 'not applied, at Sync', { from: 'client', message: 'Sync', nth }),
    // The first ReadyForQuery is that of the COPY.
    cutBefore(statement, 'applied, at ReadyForQuery', {
      from: 'server',
      message: 'ReadyForQuery',
      nth: nth + 1,
    }),
  ]
})

/** A batch of which one alert is stored already, one says something else than the stored one, and one has no host. */
async function setUp(retryForMs: number) {
  const proxy = await openProxy(database)
  const store = await openWatched(proxy, { retryForMs, writerConnections: 1 })
  const hostId = await newHost(store.store)
  const present = newAlert(hostId)
  const changed = newAlert(hostId)
  await store.insertAlerts([present, changed])
  const conflict = { ...changed, ruleName: 'other content' }
  const unknown = newAlert('00000000-0000-0000-0000-0000000000cc')
  const good = newAlerts(8, hostId)
  return { proxy, store, present, changed, conflict, unknown, good }
}

async function expectEndState({
  store,
  good,
  present,
  changed,
  conflict,
  unknown,
}: Awaited<ReturnType<typeof setUp>>) {
  await expectStoredOnce(database, [...good, present, changed])
  const rows = await database.sql(`SELECT rule_name FROM alerts WHERE alert_id = '${changed.alertId}'`)
  expect(rows).toEqual([{ rule_name: changed.ruleName }])
  expect(await deadLettersOf(database, [conflict.alertId])).toMatchObject([{ reason: 'ALERT_CONFLICT' }])
  expect(await deadLettersOf(database, [unknown.alertId])).toMatchObject([{ reason: 'UNKNOWN_HOST' }])
  expect(store.check('at the end')).toMatchObject({ accepted: 13, deadLettered: 2, inFlight: 0 })
}

const EXPECTED = [
  'duplicate',
  'rejected',
  'rejected',
  ...Array.from({ length: 8 }, () => expect.stringMatching(/^(stored|duplicate)$/)),
]

describe.each(CUTS)('F03: $statement that is cut ($place)', ({ spec }) => {
  it('is made again, and each alert is stored or a dead letter once', async () => {
    const set = await setUp(RETRY_FOR_MS)
    const { proxy, store, present, conflict, unknown, good } = set
    const fault = proxy.inject(spec)
    const receipts = await store.insertAlerts([present, conflict, unknown, ...good])
    expect(fault.count).toBe(1)
    await fault.settled
    expect(outcomesOf(receipts)).toEqual(EXPECTED)
    await expectEndState(set)
  })

  it('fails the call with a retryable error; sent again, each alert is stored or a dead letter once', async () => {
    const set = await setUp(1)
    const { proxy, store, present, conflict, unknown, good } = set
    const fault = proxy.inject(spec)
    const list = [present, conflict, unknown, ...good]
    const error = await rejection(store.insertAlerts(list))
    expect(isRetryable(error)).toBe(true)
    await fault.settled
    expect(store.check('given back')).toMatchObject({ accepted: 2, rejected: 11, inFlight: 0 })
    expect(outcomesOf(await store.insertAlerts(list))).toEqual(EXPECTED)
    await expectEndState(set)
  })
})

const ENSURE = /ensure_alert_partition/

const PARTITION_CUTS: readonly { readonly place: string; readonly spec: FaultSpec }[] = [
  {
    place: 'before it',
    spec: { when: { from: 'client', message: 'Parse', text: ENSURE }, action: 'cut-before' },
  },
  { place: 'before its Sync', spec: { when: { from: 'client', message: 'Sync' }, action: 'cut-before' } },
  { place: 'while it runs', spec: { when: { from: 'client', message: 'Sync' }, action: 'cut-now' } },
  {
    place: 'after it',
    spec: { when: { from: 'client', message: 'Parse', text: ENSURE }, action: 'cut-after' },
  },
  {
    place: 'at its answer',
    spec: { when: { from: 'server', message: 'ReadyForQuery' }, action: 'cut-before' },
  },
  {
    place: 'at its answer, frozen',
    spec: { when: { from: 'server', message: 'ReadyForQuery' }, action: 'freeze' },
  },
]

describe('F01: the making of a month that is cut', () => {
  it.each(PARTITION_CUTS)('$place: the month is made, and the alerts are stored once', async ({ spec }) => {
    const proxy = await openProxy(database)
    const store = await openWatched(proxy, { retryForMs: RETRY_FOR_MS, writeTimeoutMs: 400 })
    const hostId = await newHost(store.store)
    await store.insertAlerts(newAlerts(1, hostId))
    const receivedAt = momentInFreshMonth()
    const fault = proxy.inject(spec)
    const alerts = newAlerts(20, hostId, { receivedAt })
    expect(outcomesOf(await store.insertAlerts(alerts))).toEqual(alerts.map(() => 'stored'))
    expect(fault.count).toBe(1)
    await expectStoredOnce(database, alerts)
  })

  it.each(PARTITION_CUTS)(
    '$place, while eight stores begin with it: each alert is stored once',
    async ({ spec }) => {
      const proxy = await openProxy(database)
      const stores = await Promise.all(
        Array.from({ length: 8 }, () =>
          openWatched(proxy, { retryForMs: RETRY_FOR_MS, writeTimeoutMs: 1500 }),
        ),
      )
      const [first] = stores
      if (!first) throw new Error('expected stores')
      const hostId = await newHost(first.store)
      await Promise.all(stores.map(store => store.insertAlerts(newAlerts(1, hostId))))
      const receivedAt = momentInFreshMonth()
      const alerts = newAlerts(20, hostId, { receivedAt })
      const fault = proxy.inject(spec)
      const inserting = Promise.all(stores.map(store => store.insertAlerts(alerts)))
      await fault.fired
      const answers = await inserting
      const stored = answers.flatMap(outcomesOf).filter(outcome => outcome === 'stored')
      expect(stored).toHaveLength(20)
      await expectStoredOnce(database, alerts)
    },
  )
})
