import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Store, TripwireStorageError } from '../../../src/index.ts'
import { jsonLines, runCli } from '../../cli/run-cli.ts'
import { newAlert, openStore, rejection } from '../../store/fixtures.ts'
import { waitForWaiters } from '../../store/lock-alerts.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { connectTo, rollUpCounts } from './counted-hours.ts'

const database = useTestDatabase()
const run = (...argv: string[]) => runCli(database.connectionString, ['alerts', ...argv])
const HOUR = '2026-02-10T10:00:00.000000Z'
let store: Store
let hostId: string

beforeAll(async () => {
  store = await openStore(database)
  hostId = await store.upsertHost({ hostname: 'web-1' })
  await store.insertAlerts([
    newAlert(hostId, { receivedAt: '2026-02-10T10:15:00Z' }),
    newAlert(hostId, { receivedAt: '2026-02-10T10:45:00Z', severity: 'CRITICAL', ruleName: 'other' }),
    newAlert(hostId, { receivedAt: '2026-02-12T10:45:00Z' }),
  ])
})
afterAll(() => store.close())
beforeEach(() => rollUpCounts(store))

/** By a client that passes by the triggers. */
async function deleteUncounted(): Promise<void> {
  await database.sql(`
    SET session_replication_role = replica;
    DELETE FROM alerts WHERE rule_name = 'other'`)
}

describe('checkAlertCounts', () => {
  it('finds nothing where all is right, and says how much it looked at', async () => {
    expect(await store.checkAlertCounts()).toEqual({
      hours: 672,
      wrongHours: 0,
      reopenedHours: 0,
      findings: [],
    })
    expect(
      await store.checkAlertCounts({ from: '2026-02-10T10:00:00Z', to: '2026-02-10T12:00:00Z' }),
    ).toMatchObject({ hours: 2 })
    expect(
      await store.checkAlertCounts({
        from: '2026-02-10T10:00:00.000001Z',
        to: '2026-02-10T11:59:59.999999Z',
      }),
    ).toMatchObject({ hours: 0 })
  })

  it('finds what writers did behind the back of the triggers, by every dimension, and mends it', async () => {
    await deleteUncounted()
    await database.sql(
      `UPDATE alert_hour_counts SET value = 'a name' WHERE hour = '2026-02-12 10:00+00' AND dimension = 'rule'`,
    )
    const check = await store.checkAlertCounts()
    expect(check).toMatchObject({ hours: 672, wrongHours: 2, reopenedHours: 0 })
    const of = { hour: HOUR, severity: 'CRITICAL', counted: 1, found: 0 }
    const later = { hour: '2026-02-12T10:00:00.000000Z', dimension: 'rule', severity: 'WARN' }
    expect(check.findings).toEqual([
      { ...of, dimension: 'host', value: hostId },
      { ...of, dimension: 'rule', value: 'other' },
      { ...of, dimension: 'total', value: '' },
      { ...of, dimension: 'type', value: 'FILE' },
      { ...later, value: 'a name', counted: 1, found: 0 },
      { ...later, value: 'etc-passwd', counted: 0, found: 1 },
    ])
    expect(await store.checkAlertCounts({ reopen: true })).toMatchObject({ wrongHours: 2, reopenedHours: 2 })
    const span = { from: '2026-02-10T00:00:00Z', to: '2026-02-11T00:00:00Z' }
    expect(await store.alertTimeline({ ...span, bucket: 'day' })).toMatchObject([{ alerts: 1 }])
    expect(await store.checkAlertCounts()).toMatchObject({ hours: 670, wrongHours: 0 })
    await rollUpCounts(store)
    expect(await store.checkAlertCounts()).toMatchObject({ hours: 672, wrongHours: 0 })
    expect(await store.alertTimeline({ ...span, bucket: 'day' })).toMatchObject([{ alerts: 1 }])
    await store.insertAlerts([
      newAlert(hostId, { receivedAt: '2026-02-10T10:45:00Z', severity: 'CRITICAL', ruleName: 'other' }),
    ])
  })

  it('refuses what it does not know', async () => {
    const options = JSON.parse('{"rebuild":true}')
    expect(await rejection(store.checkAlertCounts(options))).toMatchObject({ code: 'UNKNOWN_OPTION' })
  })
})

describe('alerts counts', () => {
  it('--check ends with 3 when a count is wrong, and --rebuild counts it anew', async () => {
    expect(await run('counts', '--check')).toMatchObject({
      exitCode: 0,
      stdout: '672 hours checked, all are right\n',
    })
    await deleteUncounted()
    const found = await run('counts', '--check')
    expect(found.exitCode).toBe(3)
    expect(found.stdout).toContain('672 hours checked, 1 are wrong')
    expect(found.stdout).toMatch(/2026-02-10T10:00 {2}rule +other +CRITICAL +1 +0/)
    expect(found.stdout).toContain('tripwire-storage alerts counts --rebuild')
    const json = await run('counts', '--rebuild', '--json')
    expect(json.exitCode).toBe(3)
    expect(jsonLines(json.stdout)[0]).toMatchObject({ wrongHours: 1, reopenedHours: 1 })
    await rollUpCounts(store)
    expect(await run('counts', '--check')).toMatchObject({ exitCode: 0 })
  })

  it('--rebuild says what was opened, and then what was counted', async () => {
    await store.insertAlerts([
      newAlert(hostId, { receivedAt: '2026-02-10T10:45:00Z', severity: 'CRITICAL', ruleName: 'other' }),
    ])
    await deleteUncounted()
    const { stdout, exitCode } = await run('counts', '--rebuild')
    expect(exitCode).toBe(3)
    expect(stdout).toContain('\n1 hours are open again: timelines read them until they are counted anew\n')
    expect(stdout).toMatch(/anew\n1 hours counted, 0 forgotten, 0 merged\n/)
    expect(await run('counts', '--check')).toMatchObject({ exitCode: 0 })
  })

  it('counts what is due', async () => {
    const open = () => database.sql(`SELECT reopen_alert_hours(ARRAY['${HOUR}'::timestamptz])`)
    await open()
    const { stdout, exitCode } = await run('counts')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^1 hours counted, 0 forgotten, 0 merged\n/)
    await open()
    expect(jsonLines((await run('counts', '--json')).stdout)).toMatchObject([{ closedHours: 1 }])
  })

  it.each(['--from', '--to'])('refuses %s where nothing is checked', async flag => {
    const refused = await run('counts', flag, '2026-02-10')
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' })
    expect(refused.stderr).toContain(flag)
  })
})

describe('what was stopped by the user', () => {
  it.each([
    ['timeline', '--from', '2026-02-10'],
    ['top', '--from', '2026-02-10'],
    ['top', 'rules', '--from', '2026-02-10'],
    ['counts'],
    ['counts', '--check'],
  ])('ends while it waits for a lock: alerts %s %s', async (...argv) => {
    await database.sql(`SELECT reopen_alert_hours(ARRAY['${HOUR}'::timestamptz])`)
    const holder = await connectTo(database)
    await holder.query(`BEGIN; LOCK alerts, rolled_alert_hours IN ACCESS EXCLUSIVE MODE`)
    const stop = new AbortController()
    const command = runCli(database.connectionString, ['alerts', ...argv], undefined, {
      signal: stop.signal,
    })
    await waitForWaiters(database, 1)
    stop.abort(new TripwireStorageError('TIMEOUT', 'stopped by the user'))
    expect(await command).toMatchObject({
      exitCode: 1,
      stdout: '',
      stderr: 'error: stopped by the user [TIMEOUT]\n',
    })
    await holder.query('ROLLBACK')
    await holder.end()
  })

  it('counts nothing that was stopped before', async () => {
    const signal = AbortSignal.abort(new Error('stop'))
    expect(await rejection(store.rollUpAlertCounts({ signal }))).toMatchObject({ message: 'stop' })
  })
})

describe('alerts timeline and alerts top', () => {
  it('show what the store says', async () => {
    const span = ['--from', '2026-02-10', '--to', '2026-02-13']
    const days = await run('timeline', ...span, '--bucket', 'day', '--group-by', 'severity')
    expect(days).toMatchObject({ exitCode: 0, stderr: '' })
    expect(days.stdout.split('\n').slice(0, 4)).toEqual([
      'FROM              ALERTS  SEVERITY',
      '2026-02-10T00:00  1       WARN 1',
      '2026-02-11T00:00  0',
      '2026-02-12T00:00  1       WARN 1',
    ])
    expect(jsonLines((await run('timeline', ...span, '--bucket', 'day', '--json')).stdout)).toMatchObject([
      { alerts: 1 },
      { alerts: 0 },
      { alerts: 1 },
    ])
    expect((await run('top', ...span)).stdout).toBe('ALERTS  HOST\n2       web-1\n')
    expect((await run('top', 'rules', ...span, '--severity', 'warn,critical')).stdout).toBe(
      'ALERTS  RULE\n2       etc-passwd\n',
    )
    for (const command of ['top', 'list', 'export']) {
      const one = await run(command, ...span, '--severity', 'warn,critical')
      const several = await run(command, ...span, '--severity', 'WARN', '--severity', 'critical')
      expect(one).toMatchObject({ exitCode: 0, stderr: '' })
      expect(one.stdout).not.toBe('')
      expect(several).toEqual(one)
      expect(await run(command, ...span, '--severity', 'warn,loud')).toMatchObject({ exitCode: 2 })
    }
    expect(await run('top', 'users')).toMatchObject({ exitCode: 2 })
    expect(await run('timeline', '--bucket', 'second')).toMatchObject({ exitCode: 2 })
  })
})
