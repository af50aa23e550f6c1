import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../src/index.ts'
import { openStore, rejection } from '../store/fixtures.ts'
import { withDatabaseName } from '../support/admin-sql.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { connectClient, monthFromNow, partitionNames, partitionOf } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
beforeEach(async () => {
  store = await openStore(database)
})
afterEach(async () => {
  await store.close()
  for (const name of await partitionNames(database)) await database.sql(`DROP TABLE ${name}`)
  await database.sql('DELETE FROM maintenance_tasks')
})

const months = (count: number) =>
  Array.from({ length: count }, (_, ahead) => partitionOf(monthFromNow(ahead)))

describe('ensurePartitions', () => {
  it('makes this month and three ahead, and says which it made', async () => {
    const first = await store.ensurePartitions()
    expect(first.map(({ partition, made }) => [partition, made])).toEqual(months(4).map(name => [name, true]))
    expect(first[0]?.from).toBe(`${monthFromNow(0)}-01T00:00:00.000000Z`)
    expect(first[0]?.to).toBe(`${monthFromNow(1)}-01T00:00:00.000000Z`)
    const second = await store.ensurePartitions({ monthsAhead: 4 })
    expect(second.map(({ made }) => made)).toEqual([false, false, false, false, true])
    expect((await store.listPartitions()).filter(({ isComplete }) => !isComplete)).toEqual([])
  })

  it.each([-1, 121, 1.5, Number.NaN, '3'])('refuses %s months ahead', async monthsAhead => {
    const options = { monthsAhead } as unknown as { monthsAhead: number }
    const error = await rejection(store.ensurePartitions(options))
    expect(error).toMatchObject({ code: 'INVALID_INPUT', field: 'monthsAhead', value: monthsAhead })
    expect(await database.sql(`SELECT FROM maintenance_tasks`)).toEqual([])
  })

  it('F20: a month that cannot be made does not stop the others', async () => {
    const blocked = partitionOf(monthFromNow(1))
    await database.sql(`CREATE TABLE ${blocked} ()`)
    const error = await rejection(store.ensurePartitions())
    expect(error).toMatchObject({
      code: 'QUERY_FAILED',
      sqlState: '42P07',
      message: expect.stringContaining(blocked),
    })
    expect(await partitionNames(database)).toEqual(months(4).filter(name => name !== blocked))
    expect(await database.sql(`SELECT last_success_at, last_error FROM maintenance_tasks`)).toEqual([
      { last_success_at: null, last_error: expect.stringContaining(blocked) },
    ])
    await database.sql(`DROP TABLE ${blocked}`)
    await store.ensurePartitions()
    expect(await partitionNames(database)).toEqual(months(4))
  })

  it('F25: eight at once make each month once', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => store.ensurePartitions()))
    const made = answers.flat().filter(month => month.made)
    expect(made.map(({ partition }) => partition).sort()).toEqual(months(4))
    expect(await partitionNames(database)).toEqual(months(4))
  })

  it('F21: gives up waiting for a lock after a second, so that nobody waits long behind it', async () => {
    await using holder = await connectClient(database.directConnectionString)
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE ONLY alerts IN SHARE UPDATE EXCLUSIVE MODE')
    await using client = await connectClient(database.directConnectionString)
    await expect(client.query('SELECT ensure_alert_partition(now())')).rejects.toMatchObject({
      code: '55P03',
    })
    await holder.query('ROLLBACK')
    await client.query('SELECT ensure_alert_partition(now())')
    expect(await partitionNames(database)).toEqual(months(1))
  })

  it('waits out a lock that is given free between two attempts', async () => {
    await using holder = await connectClient(database.directConnectionString)
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE ONLY alerts IN SHARE UPDATE EXCLUSIVE MODE')
    await using client = await connectClient(database.directConnectionString)
    let isDone = false
    const ensured = client.query('SELECT * FROM ensure_alert_partitions(0)').finally(() => {
      isDone = true
    })
    // The first attempt has failed when its subtransaction has waited, gone, and come again.
    const waits = new Set<string>()
    await expect
      .poll(
        async () => {
          const rows = await database.sql(
            `SELECT waitstart::text AS since FROM pg_locks WHERE relation = 'alerts'::regclass AND NOT granted`,
          )
          for (const { since } of rows) if (since !== null) waits.add(String(since))
          return waits.size
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThanOrEqual(2)
    expect(isDone).toBe(false)
    await holder.query('ROLLBACK')
    expect((await ensured).rows).toMatchObject([{ made: true, problem: null }])
  })
})

describe('the SQL functions', () => {
  it('may be called by a role that owns nothing, when the owner grants it, and by no other', async () => {
    const role = `caller_${randomUUID().slice(0, 8)}`
    await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'p'`)
    try {
      const url = new URL(database.connectionString)
      url.username = role
      url.password = 'p'
      const calls = ['SELECT * FROM ensure_alert_partitions(1)', 'SELECT * FROM list_alert_partitions()']
      await using client = await connectClient(withDatabaseName(url.toString(), database.name))
      for (const call of calls) await expect(client.query(call)).rejects.toMatchObject({ code: '42501' })
      await database.sql(
        `GRANT EXECUTE ON FUNCTION ensure_alert_partitions(INTEGER), list_alert_partitions() TO ${role}`,
      )
      for (const call of calls) expect((await client.query(call)).rowCount).toBe(2)
      // A temporary table of the caller does not stand in for ours, whatever the search_path.
      await client.query('CREATE TEMPORARY TABLE alerts (received_at timestamptz)')
      await client.query('SET search_path = pg_temp')
      expect((await client.query('SELECT * FROM public.ensure_alert_partitions(2)')).rowCount).toBe(3)
      expect(await partitionNames(database)).toEqual(months(3))
    } finally {
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })

  it('refuse a number of months that makes no sense', async () => {
    for (const months of ['-1', '121', 'NULL']) {
      await expect(database.sql(`SELECT ensure_alert_partitions(${months})`)).rejects.toMatchObject({
        code: '22023',
      })
    }
  })

  it('do not move the clock of a session: its settings are as before', async () => {
    await using client = await connectClient(database.directConnectionString)
    await client.query(`SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German'; SET lock_timeout = '7s'`)
    await client.query('SELECT ensure_alert_partitions(1)')
    const { rows } = await client.query(
      `SELECT current_setting('TimeZone') AS zone, current_setting('DateStyle') AS style, current_setting('lock_timeout') AS timeout`,
    )
    expect(rows).toEqual([{ zone: 'Asia/Kolkata', style: 'German, DMY', timeout: '7s' }])
  })
})
