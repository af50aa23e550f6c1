import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { copyFrom } from './copy-text.ts'
import { countAlerts, newAlerts, newHost, openStore } from './fixtures.ts'
import { waitForWaiters } from './lock-alerts.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
  await database.sql(`SELECT ensure_alert_partition('2026-03-01T00:00:00Z')`)
})
afterAll(() => store.close())

const insertInto = (table: string, ...hostIds: readonly string[]) =>
  `INSERT INTO ${table} (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
   VALUES ${hostIds.map(id => `('${id}', now(), 'FILE', 'rule', 'INFO', '2026-02-10T00:00:00Z')`).join(', ')}`

const UNKNOWN = '00000000-0000-0000-0000-0000000000ff'
const foreignKeyViolation = { code: '23503', column: 'host_id' }

async function orphans(): Promise<number> {
  const rows = await database.sql(
    'SELECT count(*)::int AS count FROM alerts WHERE NOT EXISTS (SELECT FROM hosts WHERE hosts.host_id = alerts.host_id)',
  )
  return Number(rows[0]?.['count'])
}

async function withClients<T>(count: number, work: (...clients: pg.Client[]) => Promise<T>): Promise<T> {
  const clients = Array.from(
    { length: count },
    () => new pg.Client({ connectionString: database.directConnectionString }),
  )
  try {
    for (const client of clients) await client.connect()
    return await work(...clients)
  } finally {
    await Promise.all(clients.map(client => client.end()))
  }
}

describe('an alert of a host that is not registered', () => {
  it.each([
    ['inserted', insertInto('alerts', UNKNOWN)],
    ['inserted into a partition', insertInto('alerts_y2026m02', UNKNOWN)],
  ])('is refused when it is %s by any client', async (_, sql) => {
    await expect(database.sql(sql)).rejects.toMatchObject(foreignKeyViolation)
    expect(await orphans()).toBe(0)
  })

  it('is refused together with the good rows of its statement', async () => {
    const hostId = await newHost(store)
    await expect(database.sql(insertInto('alerts', hostId, UNKNOWN, hostId))).rejects.toMatchObject(
      foreignKeyViolation,
    )
    expect(await countAlerts(database, hostId)).toBe(0)
  })

  it('is refused in a COPY', async () => {
    const hostId = await newHost(store)
    const line = (id: string) => `${id}\t2026-02-10 00:00:00+00\tFILE\trule\tINFO\t2026-02-10 00:00:00+00`
    const script = `COPY alerts (host_id, timestamp, tripwire_type, rule_name, severity, received_at) FROM STDIN`
    await expect(copyFrom(database, script, [line(hostId), line(UNKNOWN)])).rejects.toMatchObject(
      foreignKeyViolation,
    )
    await copyFrom(database, script, [line(hostId), line(hostId)])
    expect(await countAlerts(database, hostId)).toBe(2)
  })

  it.each(['alerts', 'alerts_y2026m02'])('is refused when an UPDATE of %s makes it', async table => {
    const hostId = await newHost(store)
    await database.sql(insertInto('alerts', hostId))
    await expect(
      database.sql(`UPDATE ${table} SET host_id = '${UNKNOWN}' WHERE host_id = '${hostId}'`),
    ).rejects.toMatchObject(foreignKeyViolation)
  })

  it.each([
    `UPDATE alerts SET host_id = '${UNKNOWN}', received_at = '2026-03-05T00:00:00Z' WHERE rule_name = 'moved'`,
    `MERGE INTO alerts USING (VALUES (1)) AS given ON rule_name = 'moved'
     WHEN MATCHED THEN UPDATE SET host_id = '${UNKNOWN}', received_at = '2026-03-05T00:00:00Z'`,
  ])('is refused when it moves to another month as well: %s', async sql => {
    const hostId = await newHost(store)
    await database.sql(`SELECT ensure_alert_partition('2026-03-05Z')`)
    await store.insertAlerts(newAlerts(1, hostId, { ruleName: 'moved' }))
    await expect(database.sql(sql)).rejects.toMatchObject({
      code: '23001',
      constraint: 'alerts_keep_partition',
    })
    expect(await orphans()).toBe(0)
  })
})

describe('a host', () => {
  it('with alerts cannot be deleted, and its alerts stay', async () => {
    const hostId = await newHost(store)
    await store.insertAlerts(newAlerts(2, hostId))
    await expect(database.sql(`DELETE FROM hosts WHERE host_id = '${hostId}'`)).rejects.toMatchObject({
      code: '23503',
    })
    expect(await store.getHost(hostId)).not.toBeNull()
    expect(await countAlerts(database, hostId)).toBe(2)
  })

  it('without alerts can be deleted', async () => {
    const hostId = await newHost(store)
    await database.sql(`DELETE FROM hosts WHERE host_id = '${hostId}'`)
    expect(await store.getHost(hostId)).toBeNull()
  })

  it('cannot be deleted together with others when one of them has alerts', async () => {
    const [bare, used] = [await newHost(store), await newHost(store)]
    await store.insertAlerts(newAlerts(1, used))
    await expect(
      database.sql(`DELETE FROM hosts WHERE host_id IN ('${bare}', '${used}')`),
    ).rejects.toMatchObject({ code: '23503' })
    expect(await store.getHost(bare)).not.toBeNull()
  })

  it('keeps its id', async () => {
    const hostId = await newHost(store)
    await expect(
      database.sql(`UPDATE hosts SET host_id = '${randomUUID()}' WHERE host_id = '${hostId}'`),
    ).rejects.toMatchObject({ code: '23001' })
  })

  it.each(['TRUNCATE hosts', 'TRUNCATE hosts CASCADE'])('survives %s', async sql => {
    await newHost(store)
    const before = (await store.listHosts()).length
    await expect(database.sql(sql)).rejects.toMatchObject({ code: expect.stringMatching(/^(23001|0A000)$/) })
    expect(await store.listHosts()).toHaveLength(before)
  })
})

describe('an insert and the deletion of its host at once', () => {
  it('leave no orphan when the insert comes first', async () => {
    const hostId = await newHost(store)
    await withClients(2, async (writer, remover) => {
      await writer?.query('BEGIN')
      await writer?.query(insertInto('alerts', hostId))
      const removing = remover?.query(`DELETE FROM hosts WHERE host_id = '${hostId}'`)
      const outcome = removing?.then(
        () => 'deleted',
        (error: pg.DatabaseError) => error.code,
      )
      await waitForWaiters(database, 1)
      await writer?.query('COMMIT')
      expect(await outcome).toBe('23503')
    })
    expect(await orphans()).toBe(0)
    expect(await countAlerts(database, hostId)).toBe(1)
  })

  it('leave no orphan when the deletion comes first', async () => {
    const hostId = await newHost(store)
    await withClients(2, async (remover, writer) => {
      await remover?.query('BEGIN')
      await remover?.query(`DELETE FROM hosts WHERE host_id = '${hostId}'`)
      const outcome = writer?.query(insertInto('alerts_y2026m02', hostId)).then(
        () => 'inserted',
        (error: pg.DatabaseError) => error.code,
      )
      await waitForWaiters(database, 1)
      await remover?.query('COMMIT')
      expect(await outcome).toBe('23503')
    })
    expect(await orphans()).toBe(0)
  })

  it('leave no orphan when the deletion reads an old snapshot', async () => {
    const hostId = await newHost(store)
    await withClients(2, async (remover, writer) => {
      await remover?.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      await remover?.query('SELECT FROM alerts LIMIT 1')
      await writer?.query(insertInto('alerts', hostId))
      await remover?.query(`DELETE FROM hosts WHERE host_id = '${hostId}'`).then(
        () => remover.query('COMMIT'),
        () => remover.query('ROLLBACK'),
      )
    })
    const left = await orphans()
    await database.sql(`DELETE FROM alerts WHERE host_id = '${hostId}'`)
    expect(left).toBe(0)
  })

  it('leave no orphan in many rounds', async () => {
    for (let round = 0; round < 30; round++) {
      const hostId = await newHost(store)
      await Promise.allSettled([
        store.insertAlerts(newAlerts(3, hostId)),
        database.sql(`DELETE FROM hosts WHERE host_id = '${hostId}'`),
        store.insertAlerts(newAlerts(3, hostId)),
      ])
    }
    expect(await orphans()).toBe(0)
  })
})
