import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { beforeAll, describe, expect, it } from 'vitest'
import { CHECK_NAMES } from '../../src/doctor/diagnosis.ts'
import { CHECKS, type DiagnoseOptions, diagnose, migrateUp } from '../../src/index.ts'
import { insertAlerts, insertHost } from '../partitions/fixtures.ts'
import { newAlerts, newHost, openStore, rejection } from '../store/fixtures.ts'
import { lockAlerts } from '../store/lock-alerts.ts'
import { startTcpProxy } from '../store/tcp-proxy.ts'
import { withDatabaseName } from '../support/admin-sql.ts'
import { withSettings } from '../support/session-settings.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { checkOf, examine, makeHealthy, monthAhead, problemsOf } from './support.ts'

const database = useTestDatabase()
const { connectionString } = database
beforeAll(() => makeHealthy(database))

describe('a diagnosis', () => {
  it('of a healthy database has every check, in the order of the list, and finds nothing', async () => {
    const { checks, serverVersion, checkedAt } = await examine(database)
    expect(checks.map(({ name }) => name)).toEqual(CHECK_NAMES)
    expect(checks.map(({ status }) => status)).toEqual(CHECK_NAMES.map(() => 'ok'))
    expect(checks.every(({ message }) => message !== '')).toBe(true)
    expect(serverVersion).toMatch(/^1[5-8]\./)
    expect(Math.abs(Date.parse(checkedAt) - Date.now())).toBeLessThan(60_000)
  })

  it('throws when the server cannot be asked at all', async () => {
    for (const url of [
      'postgres://nobody@127.0.0.1:1/none',
      withDatabaseName(connectionString, 'there_is_no_such_database'),
    ]) {
      expect(await rejection(diagnose({ connectionString: url }))).toMatchObject({
        code: 'CONNECTION_FAILED',
      })
    }
  })

  it.each<[string, Partial<DiagnoseOptions>]>([
    ['keepMonths', { keepMonths: -1 }],
    ['minHorizonDays', { minHorizonDays: 3651 }],
    ['connectTimeoutMs', { connectTimeoutMs: 0 }],
    ['spoolDir', { spoolDir: '' }],
    ['options.keepMonth', { keepMonths: 1, ...{ keepMonth: 1 } }],
    ['connectionString', { connectionString: 'mysql://x' }],
  ])('refuses a bad %s before it asks anything', async (field, options) => {
    expect(await rejection(diagnose({ connectionString, ...options }))).toMatchObject({ field })
  })

  it('says what a role without rights cannot find out, and goes on', async () => {
    const role = `doctor_${database.name}`
    await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`)
    try {
      const url = new URL(connectionString)
      url.username = role
      url.password = 'x'
      const { checks } = await examine({ connectionString: url.toString() })
      const statuses = new Map(checks.map(({ name, status }) => [name, status]))
      expect(statuses.get('clock-skew')).toBe('ok')
      expect(statuses.get('schema-version')).toBe('unchecked')
      expect(statuses.get('missing-month')).toBe('unchecked')
      expect(checks.filter(({ status }) => status === 'finding')).toEqual([])
      for (const { status, message } of checks) {
        if (status === 'unchecked') expect(message).toContain('permission denied')
      }
      await database.sql(`
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role};
        GRANT EXECUTE ON FUNCTION list_alert_partitions() TO ${role}`)
      expect(problemsOf(await examine({ connectionString: url.toString() }))).toEqual([])
    } finally {
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })

  it('works in another schema, named by search_path', async () => {
    await database.sql('CREATE SCHEMA other')
    const other = withSettings(database, { search_path: 'other' })
    expect(checkOf(await examine(other), 'schema-version').status).toBe('finding')
    await migrateUp(other)
    await makeHealthy(other)
    expect(problemsOf(await examine(other))).toEqual([])
    await database.sql(`
      DROP TABLE other.${monthAhead(1).name};
      CREATE TABLE other.rest PARTITION OF other.alerts DEFAULT`)
    expect(problemsOf(await examine(other))).toEqual([
      `missing-month: ${monthAhead(1).month}`,
      'short-horizon: null',
      'default-partition: rest',
    ])
    expect(problemsOf(await examine(database))).toEqual([])
    await database.sql('DROP SCHEMA other CASCADE')
  })

  it('does not depend on how a session prints dates and numbers', async () => {
    const odd = withSettings(database, {
      TimeZone: 'Asia/Kathmandu',
      DateStyle: 'German',
      extra_float_digits: '-10',
      IntervalStyle: 'iso_8601',
    })
    const [plain, other] = [await examine(database), await examine(odd)]
    for (const name of CHECK_NAMES) {
      if (name !== 'clock-skew') expect(checkOf(other, name)).toEqual(checkOf(plain, name))
    }
  })
})

describe('a diagnosis changes nothing and waits for nobody', () => {
  it('leaves every row and every object as it was, and needs no right to write', async () => {
    const hostId = await insertHost(database)
    await insertAlerts(database, monthAhead(0).month, hostId, 50)
    const before = await contentOf()
    await examine(database, { keepMonths: 0, minHorizonDays: 3650 })
    expect(await contentOf()).toEqual(before)
    const readOnly = await examine(withSettings(database, { default_transaction_read_only: 'on' }))
    expect(readOnly.checks.filter(({ status }) => status === 'unchecked')).toEqual([])
  })

  it('gives up a check that would wait for a lock, within seconds, and goes on with the others', async () => {
    await using lock = await lockAlerts(database)
    const started = performance.now()
    const { checks } = await examine(database)
    expect(performance.now() - started).toBeLessThan(20_000)
    await lock.release()
    const byStatus = (wanted: string) =>
      checks.filter(({ status }) => status === wanted).map(({ name }) => name)
    expect(byStatus('finding')).toEqual([])
    expect(byStatus('unchecked')).toContain('far-future')
    expect(byStatus('ok')).toEqual(expect.arrayContaining(['schema-version', 'dead-letters', 'maintenance']))
    for (const { status, message } of checks) {
      if (status === 'unchecked') expect(message).toContain('lock timeout')
    }
  })

  it('runs beside an ingest, which loses nothing by it', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    let stored = 0
    let isDone = false
    const ingest = (async () => {
      while (!isDone) {
        stored += (await store.insertAlerts(newAlerts(200, hostId))).filter(
          ({ outcome }) => outcome === 'stored',
        ).length
      }
    })()
    for (let round = 0; round < 3; round++) expect(problemsOf(await examine(database))).toEqual([])
    isDone = true
    await ingest
    expect(
      await database.sql(`SELECT count(*)::int AS count FROM alerts WHERE host_id = '${hostId}'`),
    ).toEqual([{ count: stored }])
  })

  it('goes on with another session after its own was ended', async () => {
    await using lock = await lockAlerts(database)
    const diagnosis = examine(database)
    await lock.waitForWaiters(1)
    await database.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'tripwire-storage doctor'`,
    )
    await lock.release()
    const { checks } = await diagnosis
    expect(checks.map(({ name }) => name)).toEqual(CHECK_NAMES)
    const unchecked = checks.filter(({ status }) => status === 'unchecked')
    expect(unchecked.length).toBeGreaterThan(0)
    for (const { message } of unchecked) expect(message).toContain('terminating connection')
    expect(checks.find(({ name }) => name === 'maintenance')).toMatchObject({ status: 'ok' })
  })

  it('does not ask again and again when the server has gone', async () => {
    await using proxy = await startTcpProxy(connectionString)
    await using lock = await lockAlerts(database)
    const diagnosis = examine(proxy, { spoolDir: tmpdir() })
    await lock.waitForWaiters(1)
    await proxy.stop()
    const { checks } = await diagnosis
    const lost = checks.filter(({ details }) => details['isConnectionLost'] === true)
    const [first] = lost
    if (!first || lost.length > 1) throw new Error(`lost ${lost.length} times`)
    const after = checks.slice(checks.indexOf(first) + 1)
    expect(after.length).toBeGreaterThan(10)
    for (const { name, status, message } of after) {
      expect(status).toBe('unchecked')
      if (name !== 'spool') expect(message).toBe(first.message)
    }
  })

  it('reads alerts by their indexes only, and of the dead letters no more than it counts', async () => {
    const hostId = await insertHost(database)
    const { name, month } = monthAhead(0)
    await insertAlerts(database, month, hostId, 20_000)
    // VACUUM calls a page visible to all only once the commits of its rows are on the disk.
    await database.sql(`
      SET synchronous_commit = on;
      INSERT INTO alert_dead_letters (alert_json, reason, message)
      SELECT convert_to(n::text, 'UTF8'), 'INVALID_INPUT', 'm' FROM generate_series(1, 30000) AS n`)
    await database.sql('VACUUM ANALYZE alerts, alert_dead_letters')
    await database.sql('SELECT pg_stat_reset()')
    await examine(database, { keepMonths: 0 })
    const read = async () =>
      database.sql(`
        SELECT relname, seq_scan::int, seq_tup_read::int, coalesce(idx_tup_fetch, 0)::int AS fetched
        FROM pg_stat_user_tables
        WHERE relname IN ('${name}', 'alert_dead_letters')
        ORDER BY relname`)
    // A session hands its statistics over when it ends.
    await expect.poll(async () => (await read())[0]?.['fetched'], { timeout: 10_000 }).toBeGreaterThan(0)
    expect(await read()).toEqual([
      { relname: 'alert_dead_letters', seq_scan: 0, seq_tup_read: 0, fetched: expect.any(Number) },
      { relname: name, seq_scan: 0, seq_tup_read: 0, fetched: 0 },
    ])
    expect(Number((await read())[0]?.['fetched'])).toBeLessThanOrEqual(10_001)
    await database.sql('TRUNCATE alert_dead_letters')
  })
})

/** Every row of every table of ours, and every object, in one fingerprint. */
async function contentOf(): Promise<unknown> {
  const tables = await database.sql(
    `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname`,
  )
  const rows = []
  for (const { relname } of tables) {
    rows.push(
      await database.sql(
        `SELECT '${relname}' AS name, count(*)::int, md5(string_agg(each::text, E'\\n' ORDER BY each::text)) FROM "${relname}" AS each`,
      ),
    )
  }
  return [
    rows,
    await database.sql(
      `SELECT count(*)::int AS objects, max(xmin::text::bigint)::text AS newest FROM pg_class WHERE oid > 16383`,
    ),
  ]
}

it('the page for operators names exactly the findings there are', () => {
  const page = readFileSync(new URL('../../docs/operations/doctor.md', import.meta.url), 'utf8')
  const named = [...page.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name)
  expect(named).toEqual(Object.keys(CHECKS))
})
