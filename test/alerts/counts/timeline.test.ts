import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listBuckets } from '../../../src/alerts/counts/timeline-buckets.ts'
import { type AlertTimelineQuery, type Store, TIMELINE_BUCKETS } from '../../../src/index.ts'
import { newAlert, openStore, rejection } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { rollUpCounts } from './counted-hours.ts'

const database = useTestDatabase()
let store: Store
let hostId: string
let otherHostId: string

const DAY = { from: '2026-02-10T00:00:00Z', to: '2026-02-11T00:00:00Z' }

/** Counted and read alike: each question is asked before anything is closed, and after. */
const answers: unknown[] = []
const QUERIES: readonly AlertTimelineQuery[] = [
  { ...DAY, bucket: 'hour', groupBy: 'severity' },
  { ...DAY, bucket: 'hour', groupBy: 'hostId', severity: 'CRITICAL' },
  { ...DAY, bucket: 'day', groupBy: 'ruleName', severity: ['WARN', 'CRITICAL'] },
  { from: '2026-02-10T10:15:00.000001Z', to: '2026-02-10T12:45:00Z', bucket: 'hour' },
  {
    from: '2026-02-10T10:15:00.000001Z',
    to: '2026-02-10T10:45:00Z',
    bucket: 'minute',
    groupBy: 'tripwireType',
  },
  { from: '2026-01-28T00:00:00Z', to: '2026-03-03T00:00:00Z', bucket: 'week', groupBy: 'tripwireType' },
  { from: '2026-01-28T00:00:00Z', to: '2026-03-03T00:00:00Z', bucket: 'month' },
]

beforeAll(async () => {
  store = await openStore(database)
  hostId = await store.upsertHost({ hostname: 'web-1' })
  otherHostId = await store.upsertHost({ hostname: 'web-2' })
  const at = (receivedAt: string, members = {}) => newAlert(hostId, { receivedAt, ...members })
  await store.insertAlerts([
    at('2026-02-10T10:15:00Z', { severity: 'INFO' }),
    at('2026-02-10T10:15:00.000001Z', { severity: 'INFO' }),
    at('2026-02-10T10:30:00Z', { severity: 'CRITICAL', ruleName: 'other' }),
    at('2026-02-10T10:59:59.999999Z', { hostId: otherHostId, tripwireType: 'NETWORK' }),
    at('2026-02-10T12:00:00Z', { hostId: otherHostId, severity: 'CRITICAL' }),
    at('2026-02-10T12:45:00Z', { tripwireType: 'PROCESS' }),
    at('2026-02-28T23:59:59.999999Z', { severity: 'INFO' }),
  ])
  for (const query of QUERIES) answers.push(await store.alertTimeline(query))
  await rollUpCounts(store)
})

afterAll(() => store.close())

describe('alertTimeline', () => {
  it('says the same of counted hours as of alerts that are read', async () => {
    expect(await database.sql('SELECT count(*)::int AS count FROM rolled_alert_hours')).toMatchObject([
      { count: 672 },
    ])
    for (const [index, query] of QUERIES.entries()) {
      expect(await store.alertTimeline(query)).toEqual(answers[index])
    }
  })

  it('returns every step in order, also the empty ones, and what was told apart, the most frequent first', async () => {
    const buckets = await store.alertTimeline({ ...DAY, bucket: 'hour', groupBy: 'severity' })
    expect(buckets).toHaveLength(24)
    expect(buckets.slice(9, 13)).toEqual([
      { from: '2026-02-10T09:00:00.000000Z', to: '2026-02-10T10:00:00.000000Z', alerts: 0, groups: [] },
      {
        from: '2026-02-10T10:00:00.000000Z',
        to: '2026-02-10T11:00:00.000000Z',
        alerts: 4,
        groups: [
          { value: 'INFO', alerts: 2 },
          { value: 'CRITICAL', alerts: 1 },
          { value: 'WARN', alerts: 1 },
        ],
      },
      { from: '2026-02-10T11:00:00.000000Z', to: '2026-02-10T12:00:00.000000Z', alerts: 0, groups: [] },
      {
        from: '2026-02-10T12:00:00.000000Z',
        to: '2026-02-10T13:00:00.000000Z',
        alerts: 2,
        groups: [
          { value: 'CRITICAL', alerts: 1 },
          { value: 'WARN', alerts: 1 },
        ],
      },
    ])
  })

  it('counts from the first microsecond to before the last, within the hours of its ends', async () => {
    const from = '2026-02-10T10:15:00.000001Z'
    const hours = await store.alertTimeline({ from, to: '2026-02-10T12:45:00Z', bucket: 'hour' })
    expect(hours.map(({ from: start, alerts }) => [start.slice(11, 16), alerts])).toEqual([
      ['10:00', 3],
      ['11:00', 0],
      ['12:00', 1],
    ])
    const all = await store.alertTimeline({ from, to: '2026-02-10T12:45:00.000001Z', bucket: 'day' })
    expect(all).toMatchObject([{ alerts: 5, groups: [] }])
  })

  it('sees at once what comes late, and what is deleted', async () => {
    const day = () => store.alertTimeline({ ...DAY, bucket: 'day', groupBy: 'ruleName' })
    const [before] = await day()
    const late = newAlert(hostId, { receivedAt: '2026-02-10T03:00:00Z', ruleName: 'late' })
    await store.insertAlerts([late])
    expect(await day()).toMatchObject([{ alerts: Number(before?.alerts) + 1 }])
    await database.sql(`UPDATE alerts SET rule_name = 'renamed' WHERE alert_id = '${late.alertId}'`)
    expect((await day())[0]?.groups).toContainEqual({ value: 'renamed', alerts: 1 })
    await database.sql(`DELETE FROM alerts WHERE alert_id = '${late.alertId}'`)
    expect(await day()).toEqual([before])
  })

  it('sees an alert that is put into another month, which no UPDATE and no MERGE may do', async () => {
    await database.sql(`SELECT ensure_alert_partition('2026-03-01T00:00:00Z')`)
    const months = () =>
      store.alertTimeline({ from: '2026-02-01T00:00:00Z', to: '2026-04-01T00:00:00Z', bucket: 'month' })
    const alert = newAlert(hostId, { receivedAt: '2026-02-05T03:00:00Z' })
    await store.insertAlerts([alert])
    await rollUpCounts(store)
    const before = (await months()).map(({ alerts }) => alerts)
    const isIt = `alert_id = '${alert.alertId}'`
    const moved = `UPDATE SET received_at = '2026-03-05T03:00:00Z'`
    for (const sql of [
      `UPDATE alerts SET received_at = '2026-03-05T03:00:00Z' WHERE ${isIt}`,
      `MERGE INTO alerts USING (VALUES (1)) AS given ON ${isIt} WHEN MATCHED THEN ${moved}`,
    ]) {
      await expect(database.sql(sql)).rejects.toMatchObject({
        code: '23001',
        constraint: 'alerts_keep_partition',
      })
    }
    await database.sql(
      `MERGE INTO alerts USING (VALUES (1)) AS given ON ${isIt} WHEN MATCHED THEN UPDATE SET received_at = '2026-02-28T23:59:59Z'`,
    )
    expect((await months()).map(({ alerts }) => alerts)).toEqual(before)
    await database.sql(`
      WITH moved AS (DELETE FROM alerts WHERE ${isIt} RETURNING *)
      INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, severity, received_at)
      SELECT alert_id, host_id, timestamp, tripwire_type, rule_name, severity, '2026-03-05T03:00:00Z'
      FROM moved`)
    expect((await months()).map(({ alerts }) => alerts)).toEqual([
      Number(before[0]) - 1,
      Number(before[1]) + 1,
    ])
    expect(await store.checkAlertCounts()).toMatchObject({ wrongHours: 0 })
    await database.sql(`DELETE FROM alerts WHERE ${isIt}`)
  })

  it('goes up to the last moment there is', async () => {
    const to = '9999-12-31T23:59:59.999999Z'
    expect(
      (await store.alertTimeline({ from: '9999-12-31T22:10:00Z', to, bucket: 'hour' })).map(each => [
        each.from,
        each.to,
      ]),
    ).toEqual([
      ['9999-12-31T22:00:00.000000Z', '9999-12-31T23:00:00.000000Z'],
      ['9999-12-31T23:00:00.000000Z', to],
    ])
    for (const bucket of TIMELINE_BUCKETS) {
      const buckets = await store.alertTimeline({ from: '9999-12-31T23:59:00Z', to, bucket })
      expect(buckets).toMatchObject([{ to }])
    }
  })

  it.each<[string, object, string]>([
    ['no span', { bucket: 'hour' }, 'query.from'],
    ['an end before its beginning', { from: DAY.to, to: DAY.from, bucket: 'hour' }, 'query.to'],
    ['an empty span', { from: DAY.to, to: DAY.to, bucket: 'hour' }, 'query.to'],
    ['another bucket', { ...DAY, bucket: 'fortnight' }, 'query.bucket'],
    ['no bucket', DAY, 'query.bucket'],
    ['another group', { ...DAY, bucket: 'hour', groupBy: 'alertId' }, 'query.groupBy'],
    ['another severity', { ...DAY, bucket: 'hour', severity: 'LOUD' }, 'query.severity'],
    ['something unknown', { ...DAY, bucket: 'hour', step: 1 }, 'query.step'],
    [
      'too many buckets',
      { from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:00Z', bucket: 'minute' },
      'query.bucket',
    ],
  ])('refuses %s', async (_, query, field) => {
    // Only what a caller without types can write.
    const asGiven: AlertTimelineQuery = JSON.parse(JSON.stringify(query))
    expect(await rejection(store.alertTimeline(asGiven))).toMatchObject({ field })
  })

  it('ends with its signal', async () => {
    const reason = new Error('enough')
    const options = { signal: AbortSignal.abort(reason) }
    expect(await rejection(store.alertTimeline({ ...DAY, bucket: 'hour' }, options))).toBe(reason)
  })
})

describe('topAlertHosts and topAlertRules', () => {
  it('return those with the most, the most first, within the limit', async () => {
    expect(await store.topAlertHosts(DAY)).toEqual([
      { hostId, alerts: 4 },
      { hostId: otherHostId, alerts: 2 },
    ])
    expect(await store.topAlertHosts({ ...DAY, limit: 1 })).toEqual([{ hostId, alerts: 4 }])
    expect(await store.topAlertRules({ ...DAY, severity: 'CRITICAL' })).toEqual([
      { ruleName: 'etc-passwd', alerts: 1 },
      { ruleName: 'other', alerts: 1 },
    ])
  })

  it('take names of rules as they are', async () => {
    const names = ['__proto__', "it's; -- %s", '', 'ß\u{1f600}'].filter(Boolean)
    const span = { from: '2026-02-20T00:00:00Z', to: '2026-02-21T00:00:00Z' }
    await store.insertAlerts(
      names.map(ruleName =>
        newAlert(hostId, { alertId: randomUUID(), ruleName, receivedAt: '2026-02-20T05:00:00Z' }),
      ),
    )
    expect((await store.topAlertRules(span)).map(({ ruleName }) => ruleName).sort()).toEqual(names.toSorted())
    await rollUpCounts(store)
    expect((await store.topAlertRules(span)).map(({ ruleName }) => ruleName).sort()).toEqual(names.toSorted())
  })

  it('refuse a limit of 0', async () => {
    expect(await rejection(store.topAlertHosts({ ...DAY, limit: 0 }))).toMatchObject({ field: 'query.limit' })
  })
})

describe('the buckets', () => {
  it('are those of date_trunc', async () => {
    const ms = fc.integer({ min: Date.UTC(1, 0, 1), max: Date.UTC(9990, 0, 1) })
    const steps = { minute: 1, hour: 60, day: 1440, week: 10_080, month: 44_640 } as const
    const samples = fc.sample(
      fc.tuple(fc.constantFrom(...TIMELINE_BUCKETS), ms, fc.integer({ min: 1, max: 30 })),
      300,
    )
    const asked = samples.map(([bucket, start, count], place) => ({
      place,
      bucket,
      from: `${new Date(start).toISOString().slice(0, -1)}000Z`,
      to: `${new Date(start + count * steps[bucket] * 60_000 + 1).toISOString().slice(0, -1)}001Z`,
    }))
    const expected = await database.sql(`
      SELECT array_agg(to_char(start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') ORDER BY start) AS starts
      FROM jsonb_to_recordset('${JSON.stringify(asked)}') AS asked (place int, bucket text, "from" timestamptz, "to" timestamptz)
      CROSS JOIN LATERAL generate_series(
        date_trunc(bucket, "from", 'UTC') AT TIME ZONE 'UTC',
        ("to" - INTERVAL '1 microsecond') AT TIME ZONE 'UTC',
        ('1 ' || bucket)::interval
      ) AS starts (local)
      CROSS JOIN LATERAL (SELECT local AT TIME ZONE 'UTC' AS start) AS moments
      GROUP BY place
      ORDER BY place`)
    for (const [index, { bucket, from, to }] of asked.entries()) {
      const buckets = listBuckets(bucket, from, to)
      expect(buckets.map(each => each.from)).toEqual(expected[index]?.['starts'])
      expect(buckets.slice(1).map(each => each.from)).toEqual(buckets.slice(0, -1).map(each => each.to))
    }
  })
})
