import { once } from 'node:events'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { Store, type StoreOptions } from '../../src/index.ts'
import { newAlerts, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { startWireProxy } from '../support/wire-proxy.ts'
import {
  connectClient,
  insertHost,
  makeMonth,
  monthFromNow,
  partitionNames,
  partitionOf,
} from './fixtures.ts'

const database = useTestDatabase()
afterEach(async () => {
  for (const name of await partitionNames(database)) await database.sql(`DROP TABLE ${name}`)
  await database.sql('DELETE FROM maintenance_tasks; DELETE FROM alert_partition_retirements')
})

/** For a condition on a busy machine. */
const PATIENCE = { timeout: 20_000 }

const months = (count: number) =>
  Array.from({ length: count }, (_, ahead) => partitionOf(monthFromNow(ahead)))
const tasks = async () =>
  new Map(
    (
      await database.sql(
        'SELECT task, last_success_at IS NOT NULL AS ok, last_error, settings FROM maintenance_tasks',
      )
    ).map(row => [row['task'], row]),
  )

async function open(options: Partial<StoreOptions> = {}): Promise<Store> {
  const store = await openStore(database, options)
  onTestFinished(async () => void (await store.close()))
  return store
}

describe('the maintenance of a store', () => {
  it('runs at the start, and tells its success in an event, in stats() and in the database', async () => {
    const store = await Store.open({ connectionString: database.connectionString, monthsAhead: 2 })
    onTestFinished(async () => void (await store.close()))
    expect(store.stats().maintenance).toEqual({
      lastRunAt: null,
      lastSuccessAt: null,
      failures: [],
      error: undefined,
      horizonDays: null,
    })
    const [report] = await once(store, 'maintenanceFinished')
    expect(report).toMatchObject({ skipped: false, made: months(3), failures: [] })
    const { maintenance } = store.stats()
    expect(maintenance.lastSuccessAt).toBe(maintenance.lastRunAt)
    const horizonDays = (Date.parse(`${monthFromNow(3)}-01T00:00:00Z`) - Date.now()) / 86_400_000
    expect(maintenance.horizonDays).toBeCloseTo(horizonDays, 1)
    expect((await tasks()).get('maintenance')).toMatchObject({ ok: true, settings: { monthsAhead: 2 } })
  })

  it('runs again after its interval', async () => {
    const store = await Store.open({
      connectionString: database.connectionString,
      maintenanceIntervalMs: 1,
      monthsAhead: 0,
    })
    await once(store, 'maintenanceFinished')
    for (const name of await partitionNames(database)) await database.sql(`DROP TABLE ${name}`)
    await expect.poll(() => partitionNames(database), PATIENCE).toEqual(months(1))
    await store.close()
  })

  it('can be off: then nothing is made until somebody asks', async () => {
    const store = await open({ maintenanceIntervalMs: 0 })
    expect(await partitionNames(database)).not.toContain(months(1)[0])
    await store.runMaintenance()
    expect(await partitionNames(database)).toEqual(expect.arrayContaining([...months(4)]))
  })

  it.each([
    [{ maintenanceIntervalMs: -1 }, 'maintenanceIntervalMs'],
    [{ maintenanceIntervalMs: 86_400_001 }, 'maintenanceIntervalMs'],
    [{ monthsAhead: 121 }, 'monthsAhead'],
    [{ retention: {} }, 'retention.keepMonths'],
    [{ retention: { keepMonths: 1, archivedir: '/' } }, 'retention.archivedir'],
  ])('refuses %o', async (options, field) => {
    expect(await rejection(openStore(database, options as Partial<StoreOptions>))).toMatchObject({ field })
  })

  it("applies the store's retention", async () => {
    const hostId = await insertHost(database)
    await makeMonth(database, monthFromNow(-3), hostId, 3)
    const store = await open({ retention: { keepMonths: 1 } })
    const report = await store.runMaintenance()
    expect(report.retired).toMatchObject([{ partition: partitionOf(monthFromNow(-3)), outcome: 'detached' }])
    expect((await tasks()).get('retention')).toMatchObject({ ok: true, settings: { keepMonths: 1 } })
    await database.sql(`DROP TABLE ${partitionOf(monthFromNow(-3))}`)
  })

  it('does not stop the ingest when a month that was retired gets a late alert: it becomes a dead letter', async () => {
    const hostId = await insertHost(database)
    const month = monthFromNow(-3)
    await makeMonth(database, month, hostId, 3)
    const store = await open({ retention: { keepMonths: 1 } })
    await store.runMaintenance()
    const receipts = await store.insertAlerts([
      ...newAlerts(1, hostId, { receivedAt: `${month}-10T00:00:00Z` }),
      ...newAlerts(1, hostId),
    ])
    expect(receipts.map(({ outcome }) => outcome)).toEqual(['rejected', 'stored'])
    await database.sql(`DROP TABLE ${partitionOf(month)}`)
    expect(await store.redriveDeadLetters()).toEqual({ stored: 1, duplicate: 0, refused: 0 })
    await database.sql('DELETE FROM alert_dead_letters')
  })

  it('stops when the store is closed, also while it waits for others', async () => {
    const hostId = await insertHost(database)
    await makeMonth(database, monthFromNow(-3), hostId, 3)
    await using reader = await connectClient(database.directConnectionString)
    await reader.query('BEGIN')
    await reader.query('SELECT FROM alerts')
    const store = await openStore(database, { retention: { keepMonths: 1 } })
    const run = store.runMaintenance().catch((error: unknown) => error)
    await expect.poll(pendingDetachments, PATIENCE).toEqual([partitionOf(monthFromNow(-3))])
    await store.close()
    expect(await run).toMatchObject({ code: 'STORE_CLOSED' })
    await reader.query('ROLLBACK')
  })
})

async function pendingDetachments(): Promise<readonly unknown[]> {
  const rows = await database.sql(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'alerts'::regclass AND inhdetachpending`,
  )
  return rows.map(row => row['name'])
}

describe('F22: a detachment that was cut half way', () => {
  it('is found and finished by the next run, also when retention is off', async () => {
    const hostId = await insertHost(database)
    const name = await makeMonth(database, monthFromNow(-3), hostId, 3)
    const rows = await detachHalfWay(name)
    const store = await open()
    expect((await store.listPartitions()).find(({ partition }) => partition === name)?.state).toBe(
      'detaching',
    )
    expect(await store.runMaintenance()).toMatchObject({ finalized: [name], failures: [] })
    expect(await pendingDetachments()).toEqual([])
    // Nobody asked for its retirement, so it stays as it is.
    expect(await database.sql(`SELECT FROM ${name}`)).toHaveLength(rows)
    await database.sql(`DROP TABLE ${name}`)
  })

  it('waits for older transactions no longer than the lock timeout, and does not stop the rest', async () => {
    const hostId = await insertHost(database)
    const name = await makeMonth(database, monthFromNow(-3), hostId, 3)
    await using reader = await connectClient(database.directConnectionString)
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await reader.query('SELECT FROM alerts')
    await detachHalfWay(name, reader)
    const store = await open()
    const report = await store.runMaintenance()
    expect(report).toMatchObject({
      made: months(4),
      finalized: [],
      failures: [{ action: 'finalize', partition: name, error: { sqlState: '55P03' } }],
    })
    expect(store.stats().maintenance.lastSuccessAt).toBeNull()
    await reader.query('ROLLBACK')
    expect(await store.runMaintenance()).toMatchObject({ finalized: [name], failures: [] })
    await database.sql(`DROP TABLE ${name}`)
  })
})

/** Begins DETACH CONCURRENTLY, and ends its session while it waits for a reader. Returns the number of rows. */
async function detachHalfWay(
  name: string,
  reader?: Awaited<ReturnType<typeof connectClient>>,
): Promise<number> {
  await using own = await connectClient(database.directConnectionString)
  const holder = reader ?? own
  if (!reader) {
    await holder.query('BEGIN')
    await holder.query('SELECT FROM alerts')
  }
  await using detacher = await connectClient(database.directConnectionString)
  const { rows } = await detacher.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const cut = detacher
    .query(`ALTER TABLE alerts DETACH PARTITION ${name} CONCURRENTLY`)
    .catch(() => undefined)
  await expect.poll(pendingDetachments, PATIENCE).toEqual([name])
  await database.sql(`SELECT pg_terminate_backend(${rows[0]?.pid})`)
  await cut
  const count = await database.sql(`SELECT count(*)::int AS count FROM ${name}`)
  return Number(count[0]?.['count'])
}

describe('F23: the success of the maintenance', () => {
  it('moves only when nothing failed', async () => {
    const store = await open()
    await store.runMaintenance()
    const { lastSuccessAt } = store.stats().maintenance
    const [, blocked = ''] = months(2)
    await database.sql(`DROP TABLE ${blocked}; CREATE TABLE ${blocked} ()`)
    const report = await store.runMaintenance()
    expect(report.failures).toMatchObject([{ action: 'ensure', partition: blocked }])
    expect(report.horizon).toBe(`${monthFromNow(1)}-01T00:00:00.000000Z`)
    const after = store.stats().maintenance
    expect(after.lastSuccessAt).toBe(lastSuccessAt)
    expect(after.lastRunAt).not.toBe(lastSuccessAt)
    expect(after.failures).toHaveLength(1)
    expect((await tasks()).get('maintenance')).toMatchObject({ last_error: expect.stringContaining(blocked) })
    await database.sql(`DROP TABLE ${blocked}`)
    await store.runMaintenance()
    expect(store.stats().maintenance.failures).toEqual([])
    expect((await tasks()).get('maintenance')).toMatchObject({ last_error: null })
  })

  it('does not move when the database cannot be asked, and the next run makes it good', async () => {
    const proxy = await startWireProxy({ target: database.connectionString })
    onTestFinished(() => proxy.close())
    const store = await openStore(proxy, { maintenanceIntervalMs: 0, closeTimeoutMs: 1000 })
    onTestFinished(async () => void (await store.close()))
    proxy.refuse({ cut: true })
    expect(await rejection(store.runMaintenance())).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(store.stats().maintenance).toMatchObject({
      lastSuccessAt: null,
      error: { code: 'CONNECTION_FAILED' },
    })
    await proxy.accept()
    expect((await store.runMaintenance()).failures).toEqual([])
  })
})

describe('F25: two maintainers at once', () => {
  it('one works, the other skips quietly, and the result is the same', async () => {
    const [first, second] = [await open(), await open()]
    await using holder = await connectClient(database.directConnectionString)
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE ONLY alerts IN SHARE UPDATE EXCLUSIVE MODE')
    const working = first.runMaintenance()
    await expect
      .poll(async () => {
        const locks = await database.sql(
          `SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        )
        return locks.length
      }, PATIENCE)
      .toBe(1)
    expect(await second.runMaintenance()).toMatchObject({ skipped: true, made: [], failures: [] })
    expect(second.stats().maintenance).toMatchObject({ lastRunAt: null, horizonDays: expect.any(Number) })
    expect(await second.applyRetention({ keepMonths: 0 })).toEqual({
      skipped: true,
      retired: [],
      failures: [],
    })
    await holder.query('ROLLBACK')
    expect((await working).failures).toEqual([])
    expect(await partitionNames(database)).toEqual(expect.arrayContaining([...months(4)]))
  })

  it('holds no lock any more when its session was killed', async () => {
    const store = await open()
    await using holder = await connectClient(database.directConnectionString)
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE ONLY alerts IN SHARE UPDATE EXCLUSIVE MODE')
    const working = store.runMaintenance().catch((error: unknown) => error)
    const lockHolders = () =>
      database.sql(
        `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      )
    await expect.poll(async () => (await lockHolders()).length, PATIENCE).toBe(1)
    await database.sql(`SELECT pg_terminate_backend(${(await lockHolders())[0]?.['pid']})`)
    await holder.query('ROLLBACK')
    expect(await working).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(await store.runMaintenance()).toMatchObject({ skipped: false, failures: [] })
  })
})
