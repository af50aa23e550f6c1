/** What can be asked of a hot standby, and what is refused there. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type AlertTimelineQuery,
  diagnose,
  isRetryable,
  migrateUp,
  type NewAlert,
  type Store,
} from '../../src/index.ts'
import { rollUpCounts } from '../alerts/counts/counted-hours.ts'
import { connectClient } from '../partitions/fixtures.ts'
import { newAlert, newHost, openStore, rejection } from '../store/fixtures.ts'
import { runAdminSql } from '../support/admin-sql.ts'
import { type ReplicatedServer, startReplicatedServer } from '../support/standby.ts'

const DAY = { from: '2026-03-10T00:00:00Z', to: '2026-03-11T00:00:00Z' }
const RETENTION = { keepMonths: 3, archiveDir: '/nowhere' }
const HALF_HOUR_MS = 1_800_000

let servers: ReplicatedServer
let primary: Store
let standby: Store
let hostId: string

const onPrimary = (sql: string) => runAdminSql(servers.primary.connectionString, sql)
const onStandby = (sql: string) => runAdminSql(servers.standby.connectionString, sql)

beforeAll(async () => {
  servers = await startReplicatedServer()
  await migrateUp({ connectionString: servers.primary.connectionString })
  primary = await openStore(servers.primary)
  hostId = await newHost(primary)
  await primary.insertAlerts(Array.from({ length: 48 }, (_, n) => alertOf(n)))
  await rollUpCounts(primary)
  await servers.replayed()
  standby = await openStore(servers.standby)
})
afterAll(async () => {
  await standby?.close()
  await primary?.close()
  await servers?.[Symbol.asyncDispose]()
})

/** Of a half hour of the day. */
function alertOf(halfHour: number, members: Partial<NewAlert> = {}) {
  return newAlert(hostId, {
    receivedAt: new Date(Date.parse(DAY.from) + halfHour * HALF_HOUR_MS).toISOString(),
    severity: halfHour % 3 === 0 ? 'CRITICAL' : 'INFO',
    ruleName: `rule-${halfHour % 5}`,
    ...members,
  })
}

describe('on a standby', () => {
  it('pages, streams and look-ups give what they give on the primary', async () => {
    const first = await standby.queryAlerts({ ...DAY, severity: 'CRITICAL', limit: 10 })
    expect(first.alerts).toHaveLength(10)
    const second = await standby.queryAlerts({
      ...DAY,
      severity: 'CRITICAL',
      limit: 10,
      cursor: first.nextCursor,
    })
    expect([...first.alerts, ...second.alerts]).toEqual(
      (await primary.queryAlerts({ ...DAY, severity: 'CRITICAL' })).alerts,
    )
    const streamed = await Array.fromAsync(standby.streamAlerts({ ...DAY, order: 'oldest' }))
    expect(streamed).toHaveLength(48)
    expect(streamed).toEqual(await Array.fromAsync(primary.streamAlerts({ ...DAY, order: 'oldest' })))
    const [alert] = streamed
    expect(await standby.getAlert(alert?.alertId ?? '')).toEqual(alert)
  })

  it('timelines are exact, with what came late and what was deleted after the hours were counted', async () => {
    const query: AlertTimelineQuery = { ...DAY, bucket: 'hour', groupBy: 'severity' }
    const before = await standby.alertTimeline(query)
    expect(before.map(({ alerts }) => alerts)).toEqual(Array.from({ length: 24 }, () => 2))
    const late = alertOf(7, { severity: 'WARN' })
    await primary.insertAlerts([late])
    await onPrimary(`DELETE FROM alerts WHERE received_at = '${DAY.from}'`)
    await servers.replayed()
    expect(await onStandby(`SELECT count(*)::int AS open FROM list_open_alert_hours('${DAY.to}')`)).toEqual([
      { open: 0 },
    ])
    const after = await standby.alertTimeline(query)
    expect(after.map(({ alerts }) => alerts).slice(0, 5)).toEqual([1, 2, 2, 3, 2])
    expect(after).toEqual(await primary.alertTimeline(query))
    expect(await standby.topAlertRules(DAY)).toEqual(await primary.topAlertRules(DAY))
    expect(await standby.topAlertHosts(DAY)).toEqual([{ hostId, alerts: 48 }])
  })

  it('a month that is attached and counted after a question was planned has no part in the answer', async () => {
    await using roller = await connectClient(servers.primary.connectionString)
    await using holder = await connectClient(servers.primary.connectionString)
    const months = `FOR VALUES FROM ('2026-05-01 00:00+00') TO ('2026-06-01 00:00+00')`
    await primary.insertAlerts([
      newAlert(hostId, { receivedAt: '2026-05-10T10:30:00Z' }),
      newAlert(hostId, { receivedAt: '2026-05-10T12:30:00Z' }),
    ])
    // The other table is never counted, and planning waits for its lock, which the standby holds as well.
    await roller.query(`
      ALTER TABLE alerts DETACH PARTITION alerts_y2026m05;
      CREATE TABLE alerts_by_hand (LIKE alerts INCLUDING ALL) PARTITION BY RANGE (received_at);
      ALTER TABLE alerts ATTACH PARTITION alerts_by_hand FOR VALUES FROM ('2026-06-01 00:00+00') TO ('2026-06-02 00:00+00')`)
    await holder.query('BEGIN; LOCK TABLE alerts_by_hand IN ACCESS EXCLUSIVE MODE')
    await servers.replayed()
    const span = { from: '2026-05-10T10:15:00Z', to: '2026-06-02T00:00:00Z' }
    const counting = standby.alertTimeline({ ...span, bucket: 'month' })
    const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`
    await expect.poll(() => onStandby(waiting), { timeout: 20_000 }).toHaveLength(1)
    await roller.query(`ALTER TABLE alerts ATTACH PARTITION alerts_y2026m05 ${months}`)
    await rollUpCounts(primary)
    await servers.replayed()
    await holder.query('COMMIT')
    // Not the one of the hour that is wholly within the span.
    expect((await counting).map(({ alerts }) => alerts)).toEqual([0, 0])
    await roller.query('DROP TABLE alerts_by_hand')
    await servers.replayed()
    const later = await standby.alertTimeline({ ...span, bucket: 'month' })
    expect(later.map(({ alerts }) => alerts)).toEqual([2, 0])
  })

  it('counts are checked, and what differs cannot be opened there', async () => {
    expect(await standby.checkAlertCounts(DAY)).toMatchObject({ hours: 24, wrongHours: 0 })
    await onPrimary(
      `SET session_replication_role = replica; DELETE FROM alerts WHERE received_at = '2026-03-10 05:00Z'`,
    )
    await servers.replayed()
    const check = await standby.checkAlertCounts(DAY)
    expect(check).toMatchObject({ wrongHours: 1, reopenedHours: 0 })
    expect(check).toEqual(await primary.checkAlertCounts(DAY))
    const refused = await rejection(standby.checkAlertCounts({ ...DAY, reopen: true }))
    expect(refused).toMatchObject({
      code: 'QUERY_FAILED',
      sqlState: '25006',
      hint: expect.stringContaining('primary'),
    })
    expect(isRetryable(refused)).toBe(false)
    expect(await primary.checkAlertCounts({ ...DAY, reopen: true })).toMatchObject({ reopenedHours: 1 })
  })

  it('nothing is counted, and where the primary stands is told', async () => {
    await rollUpCounts(primary)
    await servers.replayed()
    const { settledThrough } = await primary.rollUpAlertCounts()
    expect(await standby.rollUpAlertCounts()).toMatchObject({ state: 'done', closedHours: 0, settledThrough })
  })

  it.each([
    ['now', undefined],
    ['a moment', DAY.from],
  ])('a tail from %s is refused, because a snapshot there does not tell what runs', async (_, after) => {
    await using open = await connectClient(servers.primary.connectionString)
    await open.query('BEGIN')
    const { rows } = await open.query('SELECT pg_current_xact_id()::text AS xid')
    await servers.replayed()
    const [seen] = await onStandby('SELECT pg_current_snapshot()::text AS snapshot')
    expect(seen?.['snapshot']).toMatch(new RegExp(`^${rows[0]?.xid}:\\d+:$`))
    await using tail = standby.tailAlerts({ after })
    expect(await rejection(tail.next())).toMatchObject({
      code: 'QUERY_FAILED',
      message: expect.stringContaining('standby'),
      hint: expect.stringContaining('primary'),
    })
    await open.query('COMMIT')
  })

  it('what writes is refused, with the advice to ask the primary', async () => {
    const refused = { code: 'QUERY_FAILED', sqlState: '25006', hint: expect.stringContaining('primary') }
    for (const writing of [
      () => standby.upsertHost({ hostname: 'another' }),
      () => standby.insertAlerts([alertOf(1)]),
      () => standby.runMaintenance(),
      () => standby.ensurePartitions(),
      () => standby.indexAlertDetails(),
      () => standby.applyRetention(RETENTION),
      () => standby.appendAuditEntries(hostId, [{ n: 1 }]),
      () => standby.createRule({ hostId, ruleType: 'FILE', target: '/etc/passwd', severity: 'INFO' }),
      () => standby.redriveDeadLetters(),
      () => migrateUp({ connectionString: servers.standby.connectionString }),
    ]) {
      expect(await rejection(writing())).toMatchObject(refused)
    }
  })

  it('months are listed, and what mends them fails in the report', async () => {
    await onPrimary(`
      CREATE TABLE made_by_hand (LIKE alerts INCLUDING DEFAULTS);
      ALTER TABLE alerts ATTACH PARTITION made_by_hand FOR VALUES FROM ('2024-03-01 00:00+00') TO ('2024-04-01 00:00+00')`)
    await servers.replayed()
    expect(await standby.listPartitions()).toEqual(await primary.listPartitions())
    const due = await standby.planRetention(RETENTION)
    expect(due.map(({ partition }) => partition)).toContain('made_by_hand')
    expect(due).toEqual(await primary.planRetention(RETENTION))
    expect(await standby.mendPartitions()).toMatchObject({
      completed: [],
      failures: [{ partition: 'made_by_hand', error: { sqlState: '25006' } }],
    })
    await onPrimary('DROP TABLE made_by_hand')
    await servers.replayed()
  })

  it('the doctor finds what it finds on the primary', async () => {
    const found = async ({ connectionString }: { readonly connectionString: string }) =>
      (await diagnose({ connectionString })).checks.map(({ name, status }) => ({ name, status }))
    const onStandby = await found(servers.standby)
    expect(onStandby).toEqual(await found(servers.primary))
    expect(onStandby.filter(({ status }) => status === 'unchecked')).toEqual([])
  })
})
