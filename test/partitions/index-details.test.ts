import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { diagnose, type StoreOptions } from '../../src/index.ts'
import { indexDetails } from '../../src/partitions/index-details.ts'
import { Database } from '../../src/pg/database.ts'
import { waitForHeldUpBuild } from '../pg/index-progress.ts'
import { newAlerts, openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  connectClient,
  insertAlerts,
  insertHost,
  makeMonth,
  makeMonthByHand,
  monthFromNow,
  partitionOf,
} from './fixtures.ts'

const database = useTestDatabase()
const OLD = monthFromNow(-3)
const OLDER = monthFromNow(-4)
const PRESENT = partitionOf(monthFromNow(0))
let hostId: string

beforeAll(async () => {
  hostId = await insertHost(database)
  // The migrations made one of their own.
  await database.sql('DROP TABLE IF EXISTS alerts_y2026m02')
})
afterEach(async () => {
  for (const { name } of await database.sql(
    `SELECT inhrelid::regclass AS name FROM pg_inherits WHERE inhparent = 'alerts'::regclass`,
  )) {
    await database.sql(`DROP TABLE ${name}`)
  }
})

/** The partitions with an index of details, sorted; those whose index is not valid marked. */
async function indexedMonths(): Promise<readonly string[]> {
  const rows = await database.sql(`
    SELECT indrelid::regclass || CASE WHEN indisvalid THEN '' ELSE ', not valid' END AS month
    FROM pg_index
    WHERE pg_get_indexdef(indexrelid) LIKE '%USING gin (event_detail jsonb_path_ops)'
    ORDER BY month`)
  return rows.map(({ month }) => String(month))
}

/** A store whose maintenance runs by itself, and what it indexes at first. */
async function openWithTimer(options: Partial<StoreOptions> = {}) {
  const store = await openStore(database, { maintenanceIntervalMs: 3_600_000, ...options })
  return { store, indexing: once(store, 'detailsIndexed').then(([report]) => report) }
}

/** A transaction that a build of the old month has to wait for. */
async function openWriter() {
  const writer = await connectClient(database.directConnectionString)
  await writer.query('BEGIN')
  await writer.query(
    `INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, severity, received_at) VALUES ('${hostId}', now(), 'FILE', 'r', 'INFO', '${OLD}-21T00:00:00Z')`,
  )
  return writer
}

describe('a store', () => {
  it('indexes the details of closed months in the background, and of no other', async () => {
    const months = [await makeMonth(database, OLDER, hostId, 10), await makeMonth(database, OLD, hostId, 10)]
    const { store, indexing } = await openWithTimer()
    expect(await indexing).toEqual({ indexed: months.toReversed(), failures: [] })
    expect(await indexedMonths()).toEqual(months)
    expect(await store.indexAlertDetails()).toEqual({ indexed: [], failures: [] })
    await store.close()
  })

  it('indexes every month, and those that it makes, when it is asked to', async () => {
    await makeMonth(database, OLD, hostId, 10)
    const { store, indexing } = await openWithTimer({ detailIndexMonths: 'every', monthsAhead: 1 })
    const expected = [partitionOf(monthFromNow(1)), PRESENT, partitionOf(OLD)]
    expect(await indexing).toEqual({ indexed: expected, failures: [] })
    expect(await indexedMonths()).toEqual(expected.toSorted())
    const [receipt] = await store.insertAlerts(newAlerts(1, hostId))
    expect(receipt?.outcome).toBe('stored')
    await store.close()
  })

  it('indexes none when it is told so', async () => {
    await makeMonth(database, OLD, hostId, 10)
    await using store = await openStore(database, {
      maintenanceIntervalMs: 3_600_000,
      detailIndexMonths: 'none',
    })
    await once(store, 'maintenanceFinished')
    await store.close()
    expect(await indexedMonths()).toEqual([])
  })

  it('goes on with its maintenance while an index waits for an open transaction', async () => {
    const month = await makeMonth(database, OLD, hostId, 10)
    await using writer = await openWriter()
    const { store, indexing } = await openWithTimer()
    await waitForHeldUpBuild(database)
    expect(await store.runMaintenance()).toMatchObject({ skipped: false, failures: [] })
    await using another = await openStore(database)
    expect(await another.runMaintenance()).toMatchObject({ skipped: false, failures: [] })
    // Somebody is at it already.
    expect(await another.indexAlertDetails()).toEqual({ indexed: [], failures: [] })
    await writer.query('COMMIT')
    expect(await indexing).toEqual({ indexed: [month], failures: [] })
    await store.close()
  })

  it('builds anew what its close cut, while others write', async () => {
    const month = await makeMonth(database, OLD, hostId, 10)
    await using writer = await openWriter()
    const { store } = await openWithTimer()
    await waitForHeldUpBuild(database)
    await insertAlerts(database, OLD, hostId, 1)
    await store.close()
    expect(await indexedMonths()).toEqual([`${month}, not valid`])
    await writer.query('COMMIT')
    const next = await openWithTimer()
    expect(await next.indexing).toEqual({ indexed: [month], failures: [] })
    expect(await indexedMonths()).toEqual([month])
    await next.store.close()
  })

  it('leaves the rest to the next run when it has indexed enough', async () => {
    const months = [await makeMonth(database, OLD, hostId, 10), await makeMonth(database, OLDER, hostId, 10)]
    const failing = await makeMonth(database, monthFromNow(-2), hostId, 10)
    const db = new Database({
      connectionString: database.connectionString,
      maxConnections: 2,
      connectTimeoutMs: 10_000,
      applicationName: 'maintenance',
    })
    try {
      const { signal } = new AbortController()
      const run = async () => (await indexDetails(db, { months: 'closed', signal, enoughBytes: 1 })).indexed
      // One that cannot be built does not count.
      await database.sql(`CREATE INDEX ${failing}_detail ON ${failing} (rule_name)`)
      expect([await run(), await run(), await run()]).toEqual([[months[0]], [months[1]], []])
    } finally {
      await db.close()
    }
  })

  it('reports a month whose index cannot be built, and goes on with the others', async () => {
    const months = [await makeMonth(database, OLD, hostId, 10), await makeMonth(database, OLDER, hostId, 10)]
    await database.sql(`CREATE INDEX ${months[0]}_detail ON ${months[0]} (rule_name)`)
    await using store = await openStore(database)
    expect(await store.indexAlertDetails()).toMatchObject({
      indexed: [months[1]],
      failures: [{ action: 'index', partition: months[0], error: { code: 'ALREADY_EXISTS' } }],
    })
    const { checks } = await diagnose({ connectionString: database.directConnectionString })
    const found = checks.flatMap(({ findings }) => findings).map(({ message }) => message)
    expect(found).toContainEqual(expect.stringContaining('index_details'))
  })

  it("takes an operator's index of details for what is wanted, but not a partial one", async () => {
    const months = [await makeMonth(database, OLD, hostId, 10), await makeMonth(database, OLDER, hostId, 10)]
    await database.sql(`
      CREATE INDEX ON ${months[0]} USING gin (event_detail);
      CREATE INDEX ON ${months[1]} USING gin (event_detail) WHERE severity = 'CRITICAL'`)
    await using store = await openStore(database)
    expect(await store.indexAlertDetails()).toEqual({ indexed: [months[1]], failures: [] })
  })

  it('passes over months that belong to another role', async () => {
    const role = `owner_${randomUUID().slice(0, 8)}`
    const month = await makeMonth(database, OLD, hostId, 10)
    await database.sql(
      `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO ${role};
      GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO ${role}`,
    )
    try {
      const url = new URL(database.directConnectionString)
      url.username = role
      url.password = 'secret'
      await using store = await openStore({ connectionString: url.href })
      expect(await store.indexAlertDetails()).toEqual({ indexed: [], failures: [] })
    } finally {
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
    expect(await indexedMonths()).toEqual([])
    await using owner = await openStore(database)
    expect((await owner.indexAlertDetails()).indexed).toEqual([month])
  })
})

describe('indexAlertDetails', () => {
  it('indexes closed months, or every one, with whatever names they have', async () => {
    const long = 'month_'.repeat(11).slice(0, 63)
    await makeMonthByHand(database, OLD, '"The month"')
    await makeMonthByHand(database, OLDER, long)
    await database.sql('SELECT ensure_alert_partition(now())')
    await using store = await openStore(database)
    expect(await store.indexAlertDetails()).toEqual({ indexed: ['The month', long], failures: [] })
    expect(await store.indexAlertDetails({ months: 'every' })).toMatchObject({ indexed: [PRESENT] })
  })

  it('refuses other months', async () => {
    await using store = await openStore(database)
    // @ts-expect-error what a caller without types may give
    await expect(store.indexAlertDetails({ months: 'some' })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      field: 'options.months',
    })
    // @ts-expect-error the same
    await expect(openStore(database, { detailIndexMonths: 'some' })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      field: 'detailIndexMonths',
    })
  })
})
