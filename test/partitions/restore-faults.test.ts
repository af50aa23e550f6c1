import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { restorePartition } from '../../src/partitions/restore-partition.ts'
import { rejection } from '../store/fixtures.ts'
import { withSettings } from '../support/session-settings.ts'
import { useTestDatabase } from '../support/test-database.ts'
import type { FaultSpec } from '../support/wire-proxy.ts'
import {
  archiveFolder,
  archiveRequest,
  detachedMonth,
  imageOf,
  isPartition,
  openDatabase,
  openProxy,
  tableExists,
} from './archive-support.ts'

const database = useTestDatabase()

/** An archive of several batches whose table is gone, and a connection that can be cut. */
async function prepare(settings: Readonly<Record<string, string>> = {}) {
  const proxy = await openProxy(withSettings(database, settings))
  const db = openDatabase(database)
  const month = await detachedMonth(database, 300)
  await database.sql(`UPDATE ${month.table} SET event_detail = to_jsonb(repeat('x', 8000))`)
  const before = await imageOf(database, month.table)
  const archive = await writeArchive(db, archiveRequest(month, await archiveFolder()))
  await database.sql(`DROP TABLE ${month.table}`)
  return { proxy, through: openDatabase(proxy), db, month, before, archive, path: archive.manifestPath }
}

/** Neither under the name of the month nor under another one. */
async function expectNothingLeft(table: string): Promise<void> {
  expect(await tableExists(database, table)).toBe(false)
  expect(await database.sql(`SELECT relname FROM pg_class WHERE relname LIKE 'restoring%'`)).toEqual([])
}

/** Another client, in a transaction of its own. */
async function openClient(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  onTestFinished(() => client.end())
  await client.query('BEGIN')
  return client
}

const atQuery = (text: RegExp): FaultSpec => ({
  when: { from: 'client', message: 'Query', text },
  action: 'cut-before',
})

const atStatement = (text: RegExp, nth = 1): FaultSpec => ({
  when: { from: 'client', message: 'Parse', text, nth },
  action: 'cut-before',
})

describe('F26: a restore whose connection is cut', () => {
  it.each([
    ['at its first statement', atQuery(/SET TRANSACTION/)],
    ['at the new table', atQuery(/CREATE TABLE/)],
    ['in the midst of the rows', atStatement(/INSERT INTO/, 2)],
    ['while the table is compared', atQuery(/WITH TIES/)],
    ['before the table is completed', atStatement(/complete_alert_partition/)],
    ['before the table is attached', atQuery(/ATTACH PARTITION/)],
    ['when the table is attached', atQuery(/DROP CONSTRAINT/)],
    ['before it is committed', atQuery(/^COMMIT/)],
  ])('%s leaves nothing, and a rerun brings the month back', async (_, fault) => {
    const { proxy, through, db, month, before, path } = await prepare()
    const cut = proxy.inject(fault)
    expect(await rejection(restorePartition(through, path))).toMatchObject({ code: 'CONNECTION_FAILED' })
    await cut.settled
    await expectNothingLeft(month.table)
    await restorePartition(db, path)
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('when it was committed has brought the month back, and a rerun says so', async () => {
    const { proxy, through, db, month, before, path } = await prepare()
    const cut = proxy.inject({ ...atQuery(/^COMMIT/), action: 'cut-after' })
    expect(await rejection(restorePartition(through, path))).toMatchObject({ code: 'CONNECTION_FAILED' })
    await cut.settled
    expect(await rejection(restorePartition(db, path))).toMatchObject({ code: 'MONTH_EXISTS' })
    expect(await imageOf(database, month.table)).toEqual(before)
  })
})

describe('a restore beside others', () => {
  it('waits for the lock on alerts again and again, and keeps what it has', async () => {
    // Shorter than one attempt: a month takes its time, whatever the database allows.
    const { proxy, through, month, before, path } = await prepare({ statement_timeout: '1000' })
    const holder = await openClient()
    await holder.query('LOCK TABLE alerts IN SHARE UPDATE EXCLUSIVE MODE')
    const secondAttempt = proxy.inject({
      when: { from: 'client', message: 'Query', text: /ROLLBACK TO SAVEPOINT/, nth: 2 },
      action: { delayMs: 0 },
    })
    let rows = 0
    const restoring = restorePartition(through, path, { onProgress: count => (rows = count) })
    await secondAttempt.fired
    expect(rows).toBe(300)
    expect(await isPartition(database, month.table)).toBe(false)
    await holder.query('ROLLBACK')
    await restoring
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('lets readers and writers of alerts go on', async () => {
    const { proxy, through, month, before, path } = await prepare()
    await database.sql(`SELECT ensure_alert_partition(now())`)
    const held = proxy.inject({ ...atQuery(/DROP CONSTRAINT/), action: 'freeze' })
    const restoring = restorePartition(through, path)
    await held.fired
    // It holds every lock that it ever has.
    const client = await openClient()
    await client.query(`SET LOCAL lock_timeout = '100ms'`)
    await client.query(`
      INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, severity)
      SELECT host_id, now(), 'FILE', 'etc-passwd', 'WARN' FROM hosts LIMIT 1`)
    const { rows } = await client.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM alerts WHERE rule_name = 'etc-passwd'`,
    )
    expect(rows).toEqual([{ count: 1 }])
    await client.query('ROLLBACK')
    proxy.thaw()
    await restoring
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('is refused when a host is deleted at the last moment', async () => {
    const { proxy, through, month, archive, path } = await prepare()
    const holder = await openClient()
    await holder.query('LOCK TABLE alerts IN SHARE UPDATE EXCLUSIVE MODE')
    const waiting = proxy.inject({
      when: { from: 'client', message: 'Query', text: /ROLLBACK TO SAVEPOINT/ },
      action: { delayMs: 0 },
    })
    const restoring = rejection(restorePartition(through, path))
    await waiting.fired
    const hosts = archive.manifest.hosts.map(({ hostId }) => `'${hostId}'`)
    await holder.query(`DELETE FROM hosts WHERE host_id IN (${hosts.join(', ')})`)
    await holder.query('COMMIT')
    expect(await restoring).toMatchObject({ code: 'UNKNOWN_HOST' })
    await expectNothingLeft(month.table)
  })

  it('is refused when the month is made in the meantime', async () => {
    const { proxy, through, month, path } = await prepare()
    const held = proxy.inject({ ...atQuery(/LOCK TABLE ONLY alerts/), action: 'freeze' })
    const restoring = rejection(restorePartition(through, path))
    await held.fired
    await database.sql(`
      CREATE TABLE another (LIKE alerts INCLUDING ALL);
      ALTER TABLE alerts ATTACH PARTITION another FOR VALUES FROM ('${month.from}') TO ('${month.to}')`)
    proxy.thaw()
    expect(await restoring).toMatchObject({ code: 'MONTH_EXISTS' })
    await expectNothingLeft(month.table)
    await database.sql('DROP TABLE another')
  })
})

describe('the signal', () => {
  it.each([
    ['while the archive is verified', 0],
    ['after the first batch', 1],
  ])('ends a restore %s with its reason, and nothing is left', async (_, batches) => {
    const { db, month, before, path } = await prepare()
    const stop = new AbortController()
    const reason = new Error('enough')
    let seen = 0
    const restoring = restorePartition(db, path, {
      signal: stop.signal,
      onProgress: () => {
        if (++seen === batches) stop.abort(reason)
      },
    })
    if (batches === 0) stop.abort(reason)
    expect(await rejection(restoring)).toBe(reason)
    expect(seen).toBe(batches)
    await expectNothingLeft(month.table)
    await restorePartition(db, path)
    expect(await imageOf(database, month.table)).toEqual(before)
  })
})
