import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type NewAlert, RawJson, type Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, deadLettersOf, newAlert, newAlerts, newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

const UNKNOWN_HOST = '00000000-0000-0000-0000-00000000000a'

interface BadAlert {
  readonly what: string
  readonly members: Partial<NewAlert>
  readonly sqlState: string
  readonly code: string
}

const badAlerts: readonly BadAlert[] = [
  { what: 'an unknown host', members: { hostId: UNKNOWN_HOST }, sqlState: '23503', code: 'UNKNOWN_HOST' },
  {
    what: 'NUL in JSON',
    members: { eventDetail: RawJson.fromText('{"path": "a\\u0000b"}') },
    sqlState: '22P05',
    code: 'QUERY_FAILED',
  },
  {
    what: 'half a surrogate pair in JSON',
    members: { eventDetail: RawJson.fromText('{"path": "\\ud800"}') },
    sqlState: '22P02',
    code: 'QUERY_FAILED',
  },
  {
    what: 'half a surrogate pair in a plain value',
    members: { eventDetail: { path: '\udc00' } },
    sqlState: '22P02',
    code: 'QUERY_FAILED',
  },
  {
    what: 'a number that PostgreSQL cannot hold',
    members: { eventDetail: RawJson.fromText('1e400000') },
    sqlState: '22003',
    code: 'QUERY_FAILED',
  },
]

describe.each(badAlerts)('F02: one alert with $what', ({ members, sqlState, code }) => {
  it('is a dead letter after a flush, and the rest of its batch is stored', async () => {
    await using own = await openStore(database)
    const hostId = await newHost(own)
    const bad = newAlert(hostId, members)
    const told = once(own, 'alertsDeadLettered')
    for (const alert of [...newAlerts(5, hostId), bad, ...newAlerts(5, hostId)])
      await own.batchInsertAlerts(alert)
    await own.flush()
    expect(await countAlerts(database, hostId)).toBe(10)
    expect(await deadLettersOf(database, [bad.alertId])).toEqual([
      { alertId: bad.alertId, reason: code, sqlState },
    ])
    expect((await told)[0]).toMatchObject({
      alerts: [{ alert: { alertId: bad.alertId }, error: { code, sqlState } }],
    })
    expect(own.stats()).toMatchObject({ accepted: 11, stored: 10, deadLettered: 1, inFlight: 0 })
  })

  it('is rejected by insertAlerts, and the others are stored', async () => {
    const hostId = await newHost(store)
    const bad = newAlert(hostId, members)
    const [before, after] = [newAlert(hostId), newAlert(hostId)]
    expect(await store.insertAlerts([before, bad, after])).toEqual([
      { alertId: before.alertId, outcome: 'stored' },
      { alertId: bad.alertId, outcome: 'rejected', error: expect.objectContaining({ code, sqlState }) },
      { alertId: after.alertId, outcome: 'stored' },
    ])
    expect(await countAlerts(database, hostId)).toBe(2)
  })
})

describe('F02: one alert with JSON nested deeper than PostgreSQL follows', () => {
  // Kept out of every assertion: it is too deep for a printer.
  const eventDetail = RawJson.fromText('['.repeat(100_000) + ']'.repeat(100_000))

  it('is rejected by insertAlerts, and the others are stored', async () => {
    const hostId = await newHost(store)
    const alerts = [newAlert(hostId), newAlert(hostId, { eventDetail }), newAlert(hostId)]
    const receipts = await store.insertAlerts(alerts).catch((error: Error) => [{ outcome: error.message }])
    expect(receipts.map(receipt => receipt.outcome)).toEqual(['stored', 'rejected', 'stored'])
    expect(await countAlerts(database, hostId)).toBe(2)
  })

  it('does not block the alerts behind it', async () => {
    const own = await openStore(database)
    const hostId = await newHost(own)
    for (const alert of [newAlert(hostId), newAlert(hostId, { eventDetail }), newAlert(hostId)]) {
      await own.batchInsertAlerts(alert)
    }
    await own.flush().catch(() => undefined)
    await own.close().catch(() => undefined)
    expect(await countAlerts(database, hostId)).toBe(2)
    expect(own.stats()).toMatchObject({ accepted: 3, stored: 2, deadLettered: 1 })
  })
})

describe('alerts that the database refuses', () => {
  it('are found among many, each with its own reason', async () => {
    const hostId = await newHost(store)
    const alerts = newAlerts(40, hostId).map((alert, index) => {
      if (index % 10 === 3) return { ...alert, hostId: UNKNOWN_HOST }
      return index % 10 === 7 ? { ...alert, eventDetail: RawJson.fromText('"\\u0000"') } : alert
    })
    const receipts = await store.insertAlerts(alerts)
    expect(receipts.map(receipt => receipt.alertId)).toEqual(alerts.map(alert => alert.alertId))
    receipts.forEach((receipt, index) => {
      if (index % 10 === 3) expect(receipt.error?.code).toBe('UNKNOWN_HOST')
      else if (index % 10 === 7) expect(receipt.error).toMatchObject({ sqlState: '22P05' })
      else expect(receipt.outcome).toBe('stored')
    })
    expect(await countAlerts(database, hostId)).toBe(32)
  })

  it('are dead letters after a timer flush as well', async () => {
    await using own = await openStore(database, { flushIntervalMs: 1 })
    const hostId = await newHost(own)
    const bad = newAlert(UNKNOWN_HOST)
    await own.batchInsertAlerts(newAlert(hostId))
    await own.batchInsertAlerts(bad)
    await expect
      .poll(() => own.stats(), { timeout: 10_000 })
      .toMatchObject({ stored: 1, deadLettered: 1, inFlight: 0 })
    expect(await countAlerts(database, hostId)).toBe(1)
    expect(await deadLettersOf(database, [bad.alertId])).toHaveLength(1)
  })

  it('keep the digits of their detail, so that nothing is lost when they are stored later', async () => {
    const hostId = '00000000-0000-0000-0000-00000000000b'
    const alert = newAlert(hostId, { eventDetail: RawJson.fromText('{"n": 9007199254740993.10}') })
    expect(await store.insertAlerts([alert])).toMatchObject([{ outcome: 'rejected' }])
    await store.upsertHost({ hostId, hostname: 'late-registration' })
    expect(await store.redriveDeadLetters({ hostId })).toEqual({ stored: 1, duplicate: 0, refused: 0 })
    const rows = await database.sql(
      `SELECT event_detail::text AS detail FROM alerts WHERE host_id = '${hostId}'`,
    )
    expect(rows).toEqual([{ detail: '{"n": 9007199254740993.10}' }])
    expect(await deadLettersOf(database, [alert.alertId])).toEqual([])
  })
})
