import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AlertQuery, SEVERITY_LEVELS, type Store, TRIPWIRE_TYPES } from '../../../src/index.ts'
import { newHost, openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { keyOf, type ModelAlert, type ModelQuery, selectAlerts } from './alert-model.ts'

const database = useTestDatabase()
const COUNT = 400
const LAST_NUMBER = 70
let store: Store
let hosts: readonly string[]
let alerts: readonly ModelAlert[]

/** Few moments for many alerts, a microsecond apart, on both sides of the edge of a month, and of 5 minutes and an hour between two. */
const EDGE_US = Date.UTC(2026, 2, 1) * 1000
const MOMENTS = [
  -3_600_000_000, -3_599_999_999, -2, -1, 0, 1, 2, 999_999, 1_000_000, 300_000_000, 300_000_001,
  86_400_000_000,
].map(us => momentOf(EDGE_US + us))
const FIRST_ID = '00000000-0000-0000-0000-000000000000'
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
const RULES = ['etc-passwd', 'shell', 'Ärger, "quoted"']
const DETAILS = [undefined, {}, { a: 1 }, { a: 1, b: 2 }, { a: 2 }]

function momentOf(microseconds: number): string {
  const ms = Math.floor(microseconds / 1000)
  const rest = String(microseconds - ms * 1000).padStart(3, '0')
  return new Date(ms).toISOString().replace('Z', `${rest}Z`)
}

/** The first and the last there are, and some before which a digit further ahead changes. */
function idOf(number: number): string {
  if (number === 0) return FIRST_ID
  if (number === LAST_NUMBER) return LAST_ID
  const digits = number.toString(16).padStart(8, '0')
  return number % 3 === 0 ? `${digits}-0000-0000-0000-000000000000` : `00000000-0000-4000-8000-0000${digits}`
}

beforeAll(async () => {
  store = await openStore(database)
  hosts = [FIRST_ID, await newHost(store), LAST_ID]
  for (const hostId of [FIRST_ID, LAST_ID]) await store.upsertHost({ hostId, hostname: `host ${hostId}` })
  alerts =
    fc.sample(fc.array(alertOf(hosts), { minLength: COUNT, maxLength: COUNT }), { seed: 7, numRuns: 1 })[0] ??
    []
  // The same id stands under several hosts, at the same moment as well; of one host it stands once.
  alerts = [...new Map(alerts.map(alert => [`${alert.alertId} ${alert.hostId}`, alert])).values()]
  const receipts = await store.insertAlerts(alerts)
  expect(new Set(receipts.map(receipt => receipt.outcome))).toEqual(new Set(['stored']))
})
afterAll(() => store.close())

function alertOf(hostIds: readonly string[]): fc.Arbitrary<ModelAlert> {
  return fc
    .record({
      id: fc.integer({ min: 0, max: LAST_NUMBER }),
      hostId: fc.constantFrom(...hostIds),
      anyMoment: fc.constantFrom(...MOMENTS),
      isOfItsId: fc.constantFrom(true, true, false),
      timestamp: fc.constantFrom(...MOMENTS),
      severity: fc.constantFrom(...SEVERITY_LEVELS),
      tripwireType: fc.constantFrom(...TRIPWIRE_TYPES),
      ruleName: fc.constantFrom(...RULES),
      eventDetail: fc.constantFrom(...DETAILS),
    })
    .map(({ id, anyMoment, isOfItsId, ...alert }) => ({
      ...alert,
      alertId: idOf(id),
      // Of several hosts, the same id mostly stands at the same moment: then the host alone decides the order.
      receivedAt: isOfItsId ? (MOMENTS[id % MOMENTS.length] ?? anyMoment) : anyMoment,
    }))
}

const span = fc.tuple(fc.constantFrom(...MOMENTS), fc.constantFrom(...MOMENTS))

/** Mostly a member or two, with which much is found; lists of any length and with repetitions. */
function queryOf(hostIds: readonly string[]): fc.Arbitrary<ModelQuery> {
  const sometimes = <T>(member: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: member })
  const listOf = <T>(values: readonly T[]) =>
    fc.array(fc.constantFrom(...values), { minLength: 1, maxLength: 4 })
  return fc
    .record({
      hostId: fc.option(listOf([...hostIds, '00000000-0000-4000-8000-0000000000ff']), {
        nil: undefined,
        freq: 1,
      }),
      severity: sometimes(listOf(SEVERITY_LEVELS)),
      tripwireType: sometimes(listOf(TRIPWIRE_TYPES)),
      ruleName: sometimes(listOf([...RULES, 'no such rule'])),
      detail: sometimes(fc.constantFrom({}, { a: 1 }, { b: 2 }, { a: 1, b: 2 })),
      order: fc.constantFrom('newest' as const, 'oldest' as const, undefined),
      received: sometimes(span),
      sensed: sometimes(span),
    })
    .map(({ received, sensed, ...query }) => {
      const [from, to] = received?.toSorted() ?? []
      const [timestampFrom, timestampTo] = sensed?.toSorted() ?? []
      return { ...query, from, to, timestampFrom, timestampTo }
    })
}

async function walk(query: AlertQuery, sizes: readonly number[]) {
  const found: ModelAlert[] = []
  const pages: number[] = []
  let cursor: string | null = null
  do {
    const limit: number = sizes[pages.length % sizes.length] ?? 1
    const page = await store.queryAlerts({ ...query, limit, cursor })
    found.push(...page.alerts.map(alert => ({ ...alert, eventDetail: undefined })))
    pages.push(page.alerts.length)
    // All pages but the last are full, and what follows a cursor is never nothing.
    if (page.nextCursor !== null) expect(page.alerts).toHaveLength(limit)
    if (pages.length > 1) expect(page.alerts.length).toBeGreaterThan(0)
    cursor = page.nextCursor
  } while (cursor !== null)
  return found
}

describe('pages', () => {
  it('give, by cursor, what the query selects: any filter, both orders, any sizes of pages', async () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 60 })), {
      minLength: 1,
      maxLength: 4,
    })
    await fc.assert(
      fc.asyncProperty(queryOf(hosts), sizes, async (query, pageSizes) => {
        const expected = selectAlerts(alerts, query)
        const found = await walk(query, pageSizes)
        expect(found.map(keyOf)).toEqual(expected.map(keyOf))
        expect(found).toEqual(expected.map(alert => ({ ...alert, eventDetail: undefined })))
      }),
      { numRuns: 250 },
    )
  }, 120_000)

  it.each(['newest', 'oldest'] as const)(
    '%s first give what differs by its host alone, one by one',
    async order => {
      const query = { hostId: hosts, order }
      const expected = selectAlerts(alerts, query)
      const moments = new Set(expected.map(({ receivedAt, alertId }) => `${receivedAt} ${alertId}`))
      expect(moments.size).toBeLessThan(expected.length - 20)
      for (const hostId of [query.hostId, undefined]) {
        expect((await walk({ ...query, hostId }, [1])).map(keyOf)).toEqual(expected.map(keyOf))
      }
    },
  )

  it("give every span of the sensors' clocks, whenever its alerts were received", async () => {
    for (const timestampFrom of [undefined, ...MOMENTS]) {
      for (const timestampTo of [undefined, ...MOMENTS.filter(to => to >= (timestampFrom ?? ''))]) {
        const query = { timestampFrom, timestampTo }
        const { alerts: found } = await store.queryAlerts({ ...query, limit: 10_000 })
        expect(found.map(each => keyOf({ ...each, eventDetail: undefined }))).toEqual(
          selectAlerts(alerts, query).map(keyOf),
        )
      }
    }
  })

  it('give the same by offset, and a cursor to go on with', async () => {
    await fc.assert(
      fc.asyncProperty(queryOf(hosts), fc.nat(100), async (query, offset) => {
        const expected = selectAlerts(alerts, query).map(keyOf)
        const page = await store.queryAlerts({ ...query, offset, limit: 20 })
        expect(page.alerts.map(each => keyOf({ ...each, eventDetail: undefined }))).toEqual(
          expected.slice(offset, offset + 20),
        )
        expect(page.nextCursor !== null).toBe(expected.length > offset + 20)
        if (page.nextCursor === null) return
        const rest = await store.queryAlerts({ ...query, cursor: page.nextCursor, limit: 10_000 })
        expect(rest.alerts.map(each => keyOf({ ...each, eventDetail: undefined }))).toEqual(
          expected.slice(offset + 20),
        )
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  it('are the same for a stream', async () => {
    await fc.assert(
      fc.asyncProperty(queryOf(hosts), fc.integer({ min: 1, max: 90 }), async (query, pageSize) => {
        const found = await Array.fromAsync(store.streamAlerts({ ...query, pageSize }))
        expect(found.map(each => keyOf({ ...each, eventDetail: undefined }))).toEqual(
          selectAlerts(alerts, query).map(keyOf),
        )
      }),
      { numRuns: 60 },
    )
  }, 60_000)
})

describe('a cursor', () => {
  const first = async (query: AlertQuery) =>
    (await store.queryAlerts({ ...query, limit: 1 })).nextCursor ?? ''

  it('fits every way to ask for the same', async () => {
    const [one = '', two = ''] = hosts
    const cursor = await first({
      hostId: [one, two],
      severity: ['WARN', 'CRITICAL'],
      detail: { a: 1, b: 2 },
      from: MOMENTS[0],
    })
    const same: AlertQuery = {
      hostId: [two.toUpperCase(), one, two],
      severity: ['CRITICAL', 'WARN', 'WARN'],
      tripwireType: [...TRIPWIRE_TYPES],
      detail: { b: 2, a: 1 },
      from: new Date(MOMENTS[0] ?? ''),
      order: 'newest',
      limit: 7,
      cursor,
    }
    expect((await store.queryAlerts(same)).alerts).toEqual(
      (await store.queryAlerts({ ...same, cursor: null, offset: 1 })).alerts,
    )
  })

  it.each<readonly [string, AlertQuery]>([
    ['another order', { order: 'oldest' }],
    ['another severity', { severity: 'INFO' }],
    ['another type', { tripwireType: 'FILE' }],
    ['another rule', { ruleName: 'shell' }],
    ['another host', { hostId: '00000000-0000-4000-8000-0000000000ff' }],
    ['another detail', { detail: {} }],
    ['another beginning', { from: '2026-01-01T00:00:00Z' }],
    ['another end', { to: '2027-01-01T00:00:00Z' }],
    ['another span by the sensor', { timestampFrom: '2026-01-01T00:00:00Z' }],
  ])('of a query with %s is refused', async (_, query) => {
    for (const [own, foreign] of [
      [{}, query],
      [query, {}],
    ] as const) {
      const cursor = await first(own)
      if (cursor === '') continue
      await expect(store.queryAlerts({ ...foreign, cursor })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        field: 'query.cursor',
        message: expect.stringContaining('same filter'),
      })
    }
  })

  it('that was altered or cut is refused', async () => {
    const cursor = await first({})
    const refused = { code: 'INVALID_INPUT', field: 'query.cursor' }
    const letters = 'ABab01-_'
    for (let at = 0; at < cursor.length; at++) {
      const other = [...letters].find(letter => letter !== cursor[at]) ?? ''
      const changed = `${cursor.slice(0, at)}${other}${cursor.slice(at + 1)}`
      for (const bad of [changed, cursor.slice(0, at), `${cursor.slice(0, at)}${cursor.slice(at + 1)}`]) {
        await expect(store.queryAlerts({ cursor: bad })).rejects.toMatchObject(refused)
      }
    }
    for (const bad of [`${cursor}=`, `${cursor} `, cursor + cursor, 'x'.repeat(5000)]) {
      await expect(store.queryAlerts({ cursor: bad })).rejects.toMatchObject(refused)
    }
  })
})
