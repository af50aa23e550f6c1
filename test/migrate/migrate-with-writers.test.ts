import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import { migrateUp, migrationStatus, planMigrateUp } from '../../src/index.ts'
import { waitForHeldUpBuild } from '../pg/index-progress.ts'
import { rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { GO_TABLES, makeDatabase, RECORD_VERSION_4, rememberRows } from './databases-from-elsewhere.ts'
import { emptySchema, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const { connectionString } = database
beforeEach(async () => {
  await emptySchema(database)
  await makeDatabase(database, [...GO_TABLES, RECORD_VERSION_4])
})

const HOST = '00000000-0000-4000-8000-000000000001'

/** A session that holds what it did until it is ended. */
async function openSession(...statements: readonly string[]): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  for (const statement of statements) await client.query(statement)
  return client
}

/** Writes alerts one by one until it is stopped. The server ends a wait of more than ten seconds with an error. */
async function startWriter() {
  const client = await openSession(`SET lock_timeout = '10s'`)
  const written: string[] = []
  let isStopped = false
  const running = (async () => {
    while (!isStopped) {
      const alertId = randomUUID()
      await client.query(
        `INSERT INTO alerts VALUES ($1, $2, now(), 'FILE', 'r', NULL, 'INFO', '2026-03-20 00:00:00+00')`,
        [alertId, HOST],
      )
      written.push(alertId)
    }
  })()
  // A failure is reported by stop().
  running.catch(() => undefined)
  return {
    written,
    async stop() {
      isStopped = true
      await running.finally(() => client.end())
    },
  }
}

/** The transactions of a migrator that asked for the lock of a table in vain so far: one a try. */
function watchTries() {
  const tries = new Set<unknown>()
  return async () => {
    const rows = await database.sql(`
      SELECT virtualtransaction
      FROM pg_locks
      JOIN pg_stat_activity USING (pid)
      WHERE application_name = 'tripwire-storage migrate' AND relation = 'alerts'::regclass AND NOT granted`)
    for (const row of rows) tries.add(row['virtualtransaction'])
    return tries.size
  }
}

const partitionIndexes = () =>
  database.sql(`
    SELECT relname, pg_relation_filenode(indexrelid) AS file, indisvalid
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid IN ('alerts_y2026m02'::regclass, 'alerts_y2026m03'::regclass)
      AND relname ~ '(received_at_alert_id_idx.?|seve_idx|tripw_idx|tripwire_type_idx1?|alert_id_host_id_.?idx1?|host_id_timestamp_idx|stored_once)$'
      AND relname !~ 'm.._severity'
    ORDER BY relname`)

describe('F21: migrateUp beside a reader that keeps alerts open', () => {
  it.each([
    { version: 5, built: 10, kept: 10 },
    { version: 12, built: 34, kept: 26 },
  ])(
    'lets writers in between the tries of $version, and finishes when the reader is gone',
    async each => {
      if (each.version > 5) await migrateUp({ connectionString, steps: each.version - 5 })
      const reader = await openSession('BEGIN', 'SELECT count(*) FROM alerts')
      const writer = await startWriter()
      const migrating = migrateUp({ connectionString, steps: 1 })
      const countTries = watchTries()
      await expect.poll(countTries, { timeout: 20_000, interval: 20 }).toBe(1)
      const atFirst = writer.written.length
      await expect.poll(countTries, { timeout: 20_000, interval: 20 }).toBeGreaterThan(2)
      expect(writer.written.length).toBeGreaterThan(atFirst)

      // The long part is done already, and is not done again below.
      const built = await partitionIndexes()
      expect(built.map(index => index['indisvalid'])).toEqual(Array.from({ length: each.built }, () => true))
      expect((await migrationStatus({ connectionString })).version).toBe(each.version - 1)
      await reader.end()
      expect((await migrating).map(({ version }) => version)).toEqual([each.version])
      await writer.stop()
      const kept = await partitionIndexes()
      expect(kept).toHaveLength(each.kept)
      expect(built).toEqual(expect.arrayContaining([...kept]))
      const stored = await database.sql(
        `SELECT alert_id FROM alerts WHERE alert_id = ANY ('{${writer.written.join()}}')`,
      )
      expect(stored).toHaveLength(writer.written.length)
    },
    60_000,
  )

  it('gives up after lockTimeoutMs, says what to look for, and has changed nothing', async () => {
    const reader = await openSession('BEGIN', 'SELECT count(*) FROM alerts')
    try {
      const error = await rejection(migrateUp({ connectionString, lockTimeoutMs: 1500 }))
      expect(error).toMatchObject({
        code: 'MIGRATION_FAILED',
        message: expect.stringContaining('up 5 (alert_keys)'),
        hint: expect.stringContaining('pg_stat_activity'),
        cause: { sqlState: '55P03' },
      })
      expect((await migrationStatus({ connectionString })).version).toBe(4)
    } finally {
      await reader.end()
    }
  })

  it('makes no victim of a transaction that changed a host and writes its alerts', async () => {
    const reporter = await openSession(
      'BEGIN',
      `UPDATE hosts SET status = 'ONLINE' WHERE host_id = '${HOST}'`,
    )
    const migrating = migrateUp({ connectionString })
    await expect
      .poll(
        () =>
          database.sql(
            `SELECT FROM pg_locks WHERE relation = 'alerts'::regclass AND mode = 'AccessExclusiveLock' AND granted`,
          ),
        { timeout: 20_000, interval: 5 },
      )
      .toHaveLength(1)
    await reporter.query(
      `INSERT INTO alerts VALUES (gen_random_uuid(), '${HOST}', now(), 'FILE', 'r', NULL, 'INFO', '2026-03-20 00:00:00+00')`,
    )
    await reporter.query('COMMIT')
    await reporter.end()
    expect(await migrating).toHaveLength((await newestVersion()) - 4)
  })
})

describe('the indexes of months with rows', () => {
  it('are built before, beside writers, under the lock that keeps other migrators away', async () => {
    const writer = await openSession(
      'BEGIN',
      `INSERT INTO alerts VALUES (gen_random_uuid(), '${HOST}', now(), 'FILE', 'r', NULL, 'INFO', '2026-02-20 00:00:00+00')`,
    )
    const migrating = migrateUp({ connectionString })
    await waitForHeldUpBuild(database)
    const [building] = await database.sql(
      `SELECT query FROM pg_stat_activity WHERE datname = '${database.name}' AND wait_event_type = 'Lock'`,
    )
    expect(building?.['query']).toMatch(/^CREATE INDEX CONCURRENTLY "alerts_y2026m02_/)
    expect(await rejection(migrateUp({ connectionString, lockTimeoutMs: 50 }))).toMatchObject({
      code: 'MIGRATION_LOCKED',
    })
    await (await startWriter()).stop()
    await writer.query('COMMIT')
    await writer.end()
    expect((await migrating)[0]).toMatchObject({ version: 5, warnings: [] })
  })

  it('take their time where the server ends idle transactions', async () => {
    await database.alter("SET idle_in_transaction_session_timeout = '100ms'")
    const writer = await openSession(
      'SET idle_in_transaction_session_timeout = 0',
      'BEGIN',
      `INSERT INTO alerts VALUES (gen_random_uuid(), '${HOST}', now(), 'FILE', 'r', NULL, 'INFO', '2026-02-20 00:00:00+00')`,
    )
    const migrating = migrateUp({ connectionString })
    await expect
      .poll(
        () =>
          database.sql(`
            SELECT FROM pg_stat_activity
            WHERE application_name = 'tripwire-storage migrate' AND state = 'idle in transaction'
              AND clock_timestamp() - state_change > INTERVAL '500 milliseconds'`),
        { timeout: 20_000 },
      )
      .toHaveLength(1)
    await writer.query('COMMIT')
    await writer.end()
    expect((await migrating)[0]?.version).toBe(5)
    await database.alter('RESET idle_in_transaction_session_timeout')
  })

  it('that somebody built beforehand, as the plan shows them, are taken over', async () => {
    const plan = await planMigrateUp({ connectionString })
    const statements = plan.split('\n').filter(line => /^CREATE .*CONCURRENTLY/.test(line))
    // Of two months: five for 005, and twelve for 012, which drops four of those.
    expect(statements).toHaveLength(34)
    for (const statement of statements) await database.sql(statement)
    const built = await partitionIndexes()
    expect(built).toHaveLength(34)
    await migrateUp({ connectionString })
    const kept = await partitionIndexes()
    expect(kept).toHaveLength(26)
    expect(kept).toEqual(built.filter(({ relname }) => !/alert_id_idx.?$/.test(String(relname))))
  })

  it('that a cut left behind are built anew, for golang-migrate as well', async () => {
    const leftovers = [
      `CREATE UNIQUE INDEX CONCURRENTLY alerts_y2026m03_stored_once ON alerts_y2026m03 (alert_id, host_id)`,
      `CREATE INDEX CONCURRENTLY some_name ON alerts_y2026m03 (received_at, alert_id)`,
    ]
    for (const statement of leftovers) {
      const writer = await openSession(
        'BEGIN',
        `INSERT INTO alerts VALUES (gen_random_uuid(), '${HOST}', now(), 'FILE', 'r', NULL, 'INFO', '2026-03-20 00:00:00+00')`,
      )
      const building = rejection(database.sql(statement))
      await waitForHeldUpBuild(database)
      await database.sql(
        `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = '${database.name}' AND wait_event_type = 'Lock'`,
      )
      expect(await building).toMatchObject({ code: '57014' })
      await writer.end()
    }
    const invalid = () =>
      database.sql(`SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid`)
    expect(await invalid()).toHaveLength(2)
    const rows = await rememberRows(database)
    await migrateUp({ connectionString })
    expect(await invalid()).toEqual([])
    expect(await rows.now()).toEqual(rows.atFirst)
    expect(await database.sql(`SELECT alert_partition_is_complete('alerts_y2026m03') AS complete`)).toEqual([
      { complete: true },
    ])
  })
})
