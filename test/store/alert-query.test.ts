import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AlertQuery, SEVERITY_LEVELS, type Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { newAlert, newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
let hostId: string
let otherHost: string

/** Alert n was received n minutes after midnight; every third has the same time as the one before. */
const minuteOf = (index: number) => (index % 3 === 2 ? index - 1 : index)
const momentOf = (index: number) =>
  new Date(Date.UTC(2026, 1, 10, 0, minuteOf(index))).toISOString().replace('.000Z', '.000000Z')
const idOf = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
const DAY = { from: '2026-02-10T00:00:00Z', to: '2026-02-11T00:00:00Z' }
const COUNT = 60

const expected = Array.from({ length: COUNT }, (_, index) => ({
  alertId: idOf(index),
  severity: SEVERITY_LEVELS[index % 4 === 0 ? 2 : index % 4 === 1 ? 1 : 0],
  other: index % 5 === 0,
  receivedAt: momentOf(index),
})).toReversed()

beforeAll(async () => {
  store = await openStore(database)
  hostId = await newHost(store)
  otherHost = await newHost(store)
  const alerts = expected.map(({ alertId, severity, other, receivedAt }) =>
    newAlert(other ? otherHost : hostId, { alertId, severity: severity ?? 'INFO', receivedAt }),
  )
  await store.insertAlerts(alerts)
  // Two alerts at the edge of two months.
  await store.insertAlerts([
    newAlert(hostId, { alertId: idOf(1000), receivedAt: '2026-02-28T23:59:59.999999Z' }),
    newAlert(hostId, { alertId: idOf(1001), receivedAt: '2026-03-01T00:00:00Z' }),
  ])
})
afterAll(() => store.close())

const idsOf = async (query: AlertQuery) => (await store.queryAlerts(query)).alerts.map(alert => alert.alertId)

describe('queryAlerts', () => {
  it('returns the newest first, and the higher id first among equals', async () => {
    expect(await idsOf(DAY)).toEqual(expected.map(alert => alert.alertId))
  })

  it.each(SEVERITY_LEVELS)('returns only %s when asked for it', async severity => {
    const wanted = expected.filter(alert => alert.severity === severity).map(alert => alert.alertId)
    expect(wanted.length).toBeGreaterThan(0)
    const { alerts } = await store.queryAlerts({ ...DAY, severity })
    expect(alerts.map(alert => alert.alertId)).toEqual(wanted)
    expect(new Set(alerts.map(alert => alert.severity))).toEqual(new Set([severity]))
  })

  it('returns only the alerts of the host that is asked for', async () => {
    const wanted = expected.filter(alert => alert.other).map(alert => alert.alertId)
    expect(await idsOf({ ...DAY, hostId: otherHost })).toEqual(wanted)
    expect(await idsOf({ ...DAY, hostId: '00000000-0000-0000-0000-0000000000aa' })).toEqual([])
  })

  it('combines the filters', async () => {
    const wanted = expected.filter(alert => alert.other && alert.severity === 'CRITICAL')
    expect(wanted.length).toBeGreaterThan(1)
    expect(await idsOf({ ...DAY, hostId: otherHost, severity: 'CRITICAL' })).toEqual(
      wanted.map(alert => alert.alertId),
    )
  })

  it('includes `from` and excludes `to`, to the microsecond', async () => {
    const edge = '2026-02-28T23:59:59.999999Z'
    const nextMonth = '2026-03-01T00:00:00Z'
    const end = '2026-03-01T00:00:00.000001Z'
    expect(await idsOf({ from: edge, to: nextMonth })).toEqual([idOf(1000)])
    expect(await idsOf({ from: nextMonth, to: end })).toEqual([idOf(1001)])
    expect(await idsOf({ from: edge, to: end })).toEqual([idOf(1001), idOf(1000)])
    expect(await idsOf({ from: edge, to: edge })).toEqual([])
  })

  it('takes Dates, and text with an offset', async () => {
    expect(await idsOf({ from: new Date('2026-02-28T23:59:59Z'), to: '2026-03-01T01:00:00+01:00' })).toEqual([
      idOf(1000),
    ])
  })

  it('returns pages by limit and offset, without gap or repeat', async () => {
    const pages: string[] = []
    for (let offset = 0; offset < COUNT; offset += 7) {
      const page = await idsOf({ ...DAY, limit: 7, offset })
      expect(page).toHaveLength(Math.min(7, COUNT - offset))
      pages.push(...page)
    }
    expect(pages).toEqual(expected.map(alert => alert.alertId))
    expect(await idsOf({ ...DAY, offset: COUNT })).toEqual([])
  })

  it('returns 100 alerts when no limit is given, and 10,000 at most', async () => {
    const many = await newHost(store)
    const alerts = Array.from({ length: 101 }, () => newAlert(many, { receivedAt: '2026-02-20T00:00:00Z' }))
    await store.insertAlerts(alerts)
    const span = { from: '2026-02-20T00:00:00Z', to: '2026-02-20T00:00:01Z', hostId: many }
    expect(await idsOf(span)).toHaveLength(100)
    expect(await idsOf({ ...span, limit: 10_000 })).toHaveLength(101)
    await expect(store.queryAlerts({ ...span, limit: 10_001 })).rejects.toMatchObject({
      field: 'query.limit',
      value: 10_001,
    })
  })
})
