import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Store } from '../../src/index.ts'
import { newAlerts, openStore } from '../store/fixtures.ts'
import { waitForWaiters } from '../store/lock-alerts.ts'
import { runAdminSql } from '../support/admin-sql.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  connectClient,
  insertAlerts,
  insertHost,
  makeMonth,
  makeMonthByHand,
  monthFromNow,
  partitionNames,
  partitionOf,
} from './fixtures.ts'

const database = useTestDatabase()
const PATIENCE = { timeout: 20_000 }
let hostId: string
beforeAll(async () => {
  hostId = await insertHost(database)
})
afterEach(async () => {
  await database.alter('RESET ALL')
  for (const name of await partitionNames(database)) await database.sql(`DROP TABLE ${name}`)
  await database.sql('DELETE FROM alert_partition_retirements')
})

describe('the maintenance, with settings of the database that nobody expects', () => {
  it.each(['repeatable read', 'serializable'])(
    'completes a month with default_transaction_isolation %s',
    async level => {
      await database.alter(`SET default_transaction_isolation = '${level}'`)
      await makeMonthByHand(database, '2024-07', 'alerts_2024_07')
      await insertAlerts(database, '2024-07', hostId, 20_000)
      await using store = await openStore(database)
      expect(await store.runMaintenance()).toMatchObject({ completed: ['alerts_2024_07'], failures: [] })
    },
  )

  it('outlives the idle limits of the database', async () => {
    await database.alter("SET idle_in_transaction_session_timeout = '100ms'")
    await makeMonthByHand(database, '2024-07', 'alerts_2024_07')
    await insertAlerts(database, '2024-07', hostId, 20_000)
    await using reader = await connectClient(database.directConnectionString)
    await reader.query(`SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ`)
    await reader.query('SELECT FROM alerts LIMIT 1')
    await using store = await openStore(database)
    const maintained = store.runMaintenance()
    // The build waits for the reader, and the lock is idle for longer than the limit.
    const started = Date.now()
    await expect.poll(() => Date.now() - started, PATIENCE).toBeGreaterThan(500)
    await reader.query('ROLLBACK')
    expect(await maintained).toMatchObject({ completed: ['alerts_2024_07'], failures: [] })
  })
})

describe('a partition that belongs to another role', () => {
  const owner = `owner_${randomUUID().slice(0, 8)}`
  beforeAll(() => database.sql(`CREATE ROLE ${owner} LOGIN PASSWORD 'p' SUPERUSER`))
  afterAll(async () => {
    await database.sql(`REASSIGN OWNED BY ${owner} TO CURRENT_USER; DROP ROLE ${owner}`)
  })

  it('does not stop the ingest at the edge of a month', async () => {
    const [last, present] = [monthFromNow(-1), monthFromNow(0)]
    await makeMonth(database, last, hostId, 3)
    await makeMonth(database, present, hostId, 3)
    // The functions run with the rights of their owner, who is not the partition's.
    const weak = `weak_${randomUUID().slice(0, 8)}`
    await database.sql(`CREATE ROLE ${weak}; GRANT SELECT ON alerts, hosts TO ${weak}`)
    await database.sql(`GRANT CREATE, USAGE ON SCHEMA public TO ${weak}`)
    await database.sql(`ALTER FUNCTION alerts_check_resends() OWNER TO ${weak}`)
    try {
      await using store = await openStore(database)
      const receipts = await store.insertAlerts(
        newAlerts(2, hostId, { receivedAt: `${present}-02T00:00:00Z` }),
      )
      expect(receipts.map(({ outcome }) => outcome)).toEqual(['stored', 'stored'])
    } finally {
      await database.sql(`ALTER FUNCTION alerts_check_resends() OWNER TO CURRENT_USER`)
      await database.sql(`DROP OWNED BY ${weak}; DROP ROLE ${weak}`)
    }
  })
})

describe('rights', () => {
  it("of the owner cannot be had by attaching a function of ours to a table of one's own", async () => {
    const functions = await database.sql(`
      SELECT proname::text AS name
      FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace
        AND prosecdef
        AND has_function_privilege('public', oid, 'EXECUTE')`)
    expect(functions).toEqual([])
  })
})

describe('a month that is in use by its own name', () => {
  it('keeps nobody waiting while it is detached: it is left pending and finished later', async () => {
    const month = monthFromNow(-4)
    const name = await makeMonth(database, month, hostId, 3)
    await using reader = await connectClient(database.directConnectionString)
    await reader.query('BEGIN')
    await reader.query(`SELECT FROM ${name}`)
    await using store = await openStore(database)
    const report = store.applyRetention({ keepMonths: 1 })
    await waitForWaiters(database, 1)
    // The making of a month needs the lock that the second half holds: it gets it long before the reader ends.
    await expect
      .poll(
        () =>
          store.ensurePartitions({ monthsAhead: 0 }).then(
            () => true,
            () => false,
          ),
        PATIENCE,
      )
      .toBe(true)
    expect(await report).toMatchObject({
      retired: [],
      failures: [{ action: 'retire', partition: name, error: { sqlState: '55P03' } }],
    })
    await reader.query('ROLLBACK')
    expect(await store.applyRetention({ keepMonths: 1 })).toMatchObject({ retired: [], failures: [] })
    expect((await store.listPartitions()).find(({ partition }) => partition === name)?.state).toBe('detached')
    await database.sql(`DROP TABLE ${name}`)
  }, 60_000)

  it('or whose detachment failed is left alone afterwards when an operator takes it out', async () => {
    const name = await makeMonth(database, monthFromNow(-4), hostId, 3)
    await database.sql('CREATE TABLE alerts_rest PARTITION OF alerts DEFAULT')
    await using store = await openStore(database)
    expect((await store.applyRetention({ keepMonths: 1 })).failures).toHaveLength(1)
    await database.sql(`ALTER TABLE alerts DETACH PARTITION ${name}; DROP TABLE alerts_rest`)
    expect((await store.applyRetention({ keepMonths: 1 })).retired).toEqual([])
    expect((await store.listPartitions()).map(({ partition }) => partition)).toEqual([])
    await database.sql(`DROP TABLE ${name}`)
  })
})

describe('a restored month that was dropped by hand', () => {
  it('is an ordinary month again when it is made anew', async () => {
    const month = monthFromNow(-5)
    await database.sql(
      `INSERT INTO restored_alert_partitions (partition_name, content_sha256) VALUES ('${partitionOf(month)}', '\\x00')`,
    )
    await makeMonth(database, month, hostId, 3)
    await using store = await openStore(database)
    expect((await store.planRetention({ keepMonths: 1 })).map(({ partition }) => partition)).toEqual([
      partitionOf(month),
    ])
  })
})

describe('a month that is partitioned itself', () => {
  it('is passed over by the maintenance and by retention', async () => {
    await database.sql(
      `CREATE TABLE alerts_2023 PARTITION OF alerts FOR VALUES FROM ('2023-01-01Z') TO ('2023-02-01Z') PARTITION BY HASH (host_id)`,
    )
    await database.sql(
      `CREATE TABLE alerts_2023_0 PARTITION OF alerts_2023 FOR VALUES WITH (MODULUS 1, REMAINDER 0)`,
    )
    await using store = await openStore(database, { retention: { keepMonths: 1 } })
    expect(await store.runMaintenance()).toMatchObject({ completed: [], retired: [], failures: [] })
    await database.sql('DROP TABLE alerts_2023')
  })
})

it('a scheduler is told when a large DEFAULT partition is in the way of a month', async () => {
  await database.sql('CREATE TABLE alerts_rest PARTITION OF alerts DEFAULT')
  await insertAlerts(database, '2021-01', hostId, 20_000)
  const url = new URL(database.connectionString)
  const rows = await runAdminSql(url.toString(), 'SELECT made, problem_state FROM ensure_alert_partitions(0)')
  expect(rows).toEqual([{ made: false, problem_state: '55000' }])
  await using store = await Store.open({
    connectionString: database.connectionString,
    maintenanceIntervalMs: 0,
  })
  const receipts = await store.insertAlerts(newAlerts(2, hostId))
  expect(receipts.map(({ outcome }) => outcome)).toEqual(['stored', 'stored'])
})
