import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest'
import type { Store } from '../../src/index.ts'
import { countAlerts, newAlerts, newHost, openStore } from '../store/fixtures.ts'
import { lockAlerts, waitForWaiters } from '../store/lock-alerts.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { pgbouncerMissing } from '../support/pgbouncer.ts'
import { expectNothingLeft } from '../support/pooler-leftovers.ts'
import { usePooledDatabase } from './pooled-database.ts'

const pooled = usePooledDatabase('migrated', 3)
const { direct } = pooled

/** Long before any month that retention keeps. */
const OLD = ['2024-01', '2024-02', '2024-03'] as const
const OLD_PARTITIONS = ['alerts_y2024m01', 'alerts_y2024m02', 'alerts_y2024m03']
const OLD_SPAN = { from: '2024-01-01T00:00:00Z', to: '2024-04-01T00:00:00Z' } as const

async function partitions(): Promise<readonly string[]> {
  const rows = await direct.sql(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'alerts'::regclass ORDER BY name`,
  )
  return rows.map(row => String(row['name']))
}

/** This month and those after it, as PostgreSQL counts them. */
async function monthsFromNow(monthsAhead: number): Promise<readonly string[]> {
  const rows = await direct.sql(`
    SELECT to_char(now() AT TIME ZONE 'UTC' + ahead * INTERVAL '1 month', '"alerts_y"YYYY"m"MM') AS name
    FROM generate_series(0, ${monthsAhead}) AS ahead`)
  return rows.map(row => String(row['name']))
}

/** 100 alerts of a new host in each of the old months. */
async function fillOldMonths(store: Store): Promise<string> {
  const hostId = await newHost(store)
  for (const month of OLD) {
    await store.insertAlerts(newAlerts(100, hostId, { receivedAt: `${month}-15T12:00:00.000001Z` }))
  }
  return hostId
}

async function openArchiveDir(): Promise<string> {
  const archiveDir = await mkdtemp(join(tmpdir(), 'tripwire-pgbouncer-archive-'))
  onTestFinished(() => rm(archiveDir, { recursive: true, force: true }))
  return archiveDir
}

/** A client past the pooler that has read alerts in a transaction, and keeps it open. */
async function openReader(): Promise<pg.Client> {
  const reader = new pg.Client({ connectionString: direct.directConnectionString })
  await reader.connect()
  await reader.query('BEGIN')
  await reader.query('SELECT count(*) FROM alerts')
  return reader
}

async function activeDetachments(): Promise<readonly Record<string, unknown>[]> {
  return direct.sql(`
    SELECT query
    FROM pg_stat_activity
    WHERE datname = current_database()
      AND state = 'active'
      AND query LIKE 'ALTER TABLE%DETACH PARTITION%'`)
}

describeUnless(pgbouncerMissing(), 'F43: maintenance through PgBouncer', () => {
  beforeEach(async () => {
    const months = await direct.sql(
      `SELECT relname FROM pg_class WHERE relname ~ '^alerts_y[0-9]{4}m[0-9]{2}$'`,
    )
    for (const { relname } of months) await direct.sql(`DROP TABLE ${relname}`)
    await direct.sql('TRUNCATE alert_partition_retirements, restored_alert_partitions')
  })
  afterEach(() => expectNothingLeft(pooled))

  it('makes the months ahead, once, when eight stores do it at once', async () => {
    await using stores = new AsyncDisposableStack()
    const makers: Store[] = []
    for (let count = 0; count < 8; count++) makers.push(stores.use(await openStore(pooled.through)))
    const expected = await monthsFromNow(5)
    const answers = await Promise.all(makers.map(store => store.ensurePartitions({ monthsAhead: 5 })))
    const made = answers.flat().filter(month => month.made)
    expect(made.map(({ partition }) => partition).sort()).toEqual(expected)
    expect(await partitions()).toEqual(expected)
    expect((await makers[0]?.listPartitions())?.every(({ isComplete }) => isComplete)).toBe(true)
  })

  it('F25: is done by one of two stores at once, and the other one skips it', async () => {
    await using one = await openStore(pooled.through)
    await using other = await openStore(pooled.through)
    const lock = await lockAlerts(direct)
    const working = one.runMaintenance()
    await lock.waitForWaiters(1)
    expect(await other.runMaintenance()).toMatchObject({ skipped: true, made: [], failures: [] })
    await lock.release()
    const expected = await monthsFromNow(3)
    expect(await working).toMatchObject({ skipped: false, made: expected, failures: [] })
    expect(await other.runMaintenance()).toMatchObject({ skipped: false, made: [], failures: [] })
    expect(await partitions()).toEqual(expected)
  })

  it('is done at the opening of a store, while other stores write', async () => {
    await using writer = await openStore(pooled.through)
    const hostId = await newHost(writer)
    const expected = await monthsFromNow(3)
    const opened = await Promise.all(
      Array.from({ length: 4 }, () => openStore(pooled.through, { maintenanceIntervalMs: 3_600_000 })),
    )
    try {
      const receipts = await Promise.all(
        Array.from({ length: 10 }, () => writer.insertAlerts(newAlerts(50, hostId))),
      )
      expect(new Set(receipts.flat().map(({ outcome }) => outcome))).toEqual(new Set(['stored']))
      await expect.poll(() => partitions(), { timeout: 20_000 }).toEqual(expected)
    } finally {
      await Promise.all(opened.map(store => store.close()))
    }
    expect(await countAlerts(direct, hostId)).toBe(500)
  })

  it('retires months into their archives while writers go on, and restores them', async () => {
    await using store = await openStore(pooled.through)
    await using writer = await openStore(pooled.through)
    const archiveDir = await openArchiveDir()
    const hostId = await fillOldMonths(store)
    const read = async () => (await store.queryAlerts({ ...OLD_SPAN, limit: 1000 })).alerts
    const before = await read()
    expect(before).toHaveLength(300)

    const writerHostId = await newHost(writer)
    let retiring = true
    const writing = (async () => {
      let written = 0
      do {
        const receipts = await writer.insertAlerts(newAlerts(20, writerHostId))
        written += receipts.filter(({ outcome }) => outcome === 'stored').length
      } while (retiring)
      return written
    })()
    const { skipped, retired, failures } = await store.applyRetention({ keepMonths: 12, archiveDir })
    retiring = false
    const written = await writing
    expect(await countAlerts(direct, writerHostId)).toBe(written)
    expect({ skipped, failures }).toEqual({ skipped: false, failures: [] })
    expect(retired).toMatchObject(
      OLD_PARTITIONS.map(partition => ({ partition, outcome: 'dropped', rows: 100 })),
    )
    expect(await read()).toEqual([])
    expect(await countAlerts(direct, hostId)).toBe(0)
    expect(await readdir(archiveDir)).toEqual(
      OLD_PARTITIONS.flatMap(partition => [`${partition}.manifest.json`, `${partition}.ndjson.gz`]),
    )

    for (const { manifest } of retired) await store.restorePartition(String(manifest))
    expect(await read()).toEqual(before)
  })

  it('F22: is cancelled through the pooler when the store closes, and the next one finishes it', async () => {
    const store = await openStore(pooled.through)
    await fillOldMonths(store)
    const reader = await openReader()
    try {
      const retiring = store.applyRetention({ keepMonths: 12 }).catch((error: unknown) => error)
      await waitForWaiters(direct, 1)
      await store.close()
      expect(await retiring).toMatchObject({ code: 'STORE_CLOSED' })
      expect(await activeDetachments()).toEqual([])
    } finally {
      await reader.end()
    }
    await using next = await openStore(pooled.through)
    expect(await next.runMaintenance()).toMatchObject({
      skipped: false,
      finalized: ['alerts_y2024m01'],
      failures: [],
    })
    expect(await next.listPartitions()).toContainEqual(
      expect.objectContaining({ partition: 'alerts_y2024m01', state: 'detached' }),
    )
  })
})
