import { appendFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { dropArchivedTable } from '../../src/partitions/archive/drop-archived-table.ts'
import type { Archive } from '../../src/partitions/archive/manifest.ts'
import { verifyArchive } from '../../src/partitions/archive/verify-archive.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { restorePartition } from '../../src/partitions/restore-partition.ts'
import type { Database } from '../../src/pg/database.ts'
import { rejection } from '../store/fixtures.ts'
import { waitForWaiters } from '../store/lock-alerts.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  archiveFolder,
  archiveRequest,
  detachedMonth,
  imageOf,
  openDatabase,
  openProxy,
  type TestMonth,
  tableExists,
} from './archive-support.ts'

const database = useTestDatabase()

async function archivedMonth(count = 100) {
  const db = openDatabase(database)
  const folder = await archiveFolder()
  const month = await detachedMonth(database, count)
  return { db, folder, month, archive: await writeArchive(db, archiveRequest(month, folder)) }
}

function drop(db: Database, archive: Archive, month: TestMonth): Promise<void> {
  return db.transaction(transaction => dropArchivedTable(transaction, archive, month.table))
}

/** Another client, in a transaction of its own. */
async function openClient(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  onTestFinished(() => client.end())
  await client.query('BEGIN')
  return client
}

const insertInto = (table: string) => `
  INSERT INTO ${table} (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
  SELECT host_id, timestamp, tripwire_type, 'late', severity, received_at FROM ${table} LIMIT 1`

describe('dropping an archived table', () => {
  it('leaves the archive, from which the same rows come back', async () => {
    const { db, month, archive } = await archivedMonth()
    const before = await imageOf(database, month.table)
    await drop(db, archive, month)
    expect(await tableExists(database, month.table)).toBe(false)
    await restorePartition(db, archive.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('is undone with the transaction of the caller', async () => {
    const { db, month, archive } = await archivedMonth()
    const failure = new TypeError('the caller could not record it')
    await expect(
      db.transaction(async transaction => {
        await dropArchivedTable(transaction, archive, month.table)
        throw failure
      }),
    ).rejects.toBe(failure)
    expect(await tableExists(database, month.table)).toBe(true)
    await drop(db, archive, month)
    expect(await tableExists(database, month.table)).toBe(false)
  })

  it.each([
    ['a new alert', insertInto],
    [
      'a deleted one',
      (table: string) =>
        `DELETE FROM ${table} WHERE alert_id = (SELECT min(alert_id::text)::uuid FROM ${table})`,
    ],
    [
      'a changed microsecond',
      (table: string) =>
        `UPDATE ${table} SET timestamp = timestamp + INTERVAL '1 microsecond' WHERE alert_id = (SELECT min(alert_id::text)::uuid FROM ${table})`,
    ],
    [
      'NULL in place of JSON null',
      (table: string) => `UPDATE ${table} SET event_detail = NULL WHERE event_detail = 'null'`,
    ],
    ['no alert at all', (table: string) => `TRUNCATE ${table}`],
  ])('F26: is refused for %s since, and done by a rerun with a second archive', async (_, change) => {
    const { db, folder, month, archive } = await archivedMonth()
    await database.sql(change(month.table))
    const changed = await imageOf(database, month.table)
    expect(await rejection(drop(db, archive, month))).toMatchObject({
      code: 'ARCHIVE_MISMATCH',
      message: expect.stringMatching(
        /^alerts_y\d{4}m\d\d, (rows|contentBytes|contentSha256): expected \w+, found \w+$/,
      ),
    })
    expect(await imageOf(database, month.table)).toEqual(changed)
    const second = await writeArchive(db, archiveRequest(month, folder))
    expect(second.manifest.file).toBe(`${month.table}-2.ndjson.gz`)
    await verifyArchive(archive)
    await drop(db, second, month)
    await restorePartition(db, second.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(changed)
  })

  it('F26: sees what a writer committed at the last moment', async () => {
    const { db, month, archive } = await archivedMonth()
    const writer = await openClient()
    await writer.query(insertInto(month.table))
    const dropping = rejection(drop(db, archive, month))
    await waitForWaiters(database, 1)
    await writer.query('COMMIT')
    expect(await dropping).toMatchObject({ code: 'ARCHIVE_MISMATCH' })
    expect(await tableExists(database, month.table)).toBe(true)
  })

  it('gives up, and drops nothing, when a writer does not end in time', async () => {
    const { db, month, archive } = await archivedMonth()
    const writer = await openClient()
    await writer.query(insertInto(month.table))
    expect(await rejection(drop(db, archive, month))).toMatchObject({
      code: 'QUERY_FAILED',
      sqlState: '55P03',
    })
    await writer.query('ROLLBACK')
    await drop(db, archive, month)
    expect(await tableExists(database, month.table)).toBe(false)
  })

  it('waits for a reader again and again, and keeps what it has verified', async () => {
    const { month, archive } = await archivedMonth()
    const reader = await openClient()
    await reader.query(`SELECT FROM ${month.table} LIMIT 1`)
    const proxy = await openProxy(database)
    const firstAttempt = proxy.inject({
      when: { from: 'client', message: 'Query', text: /ROLLBACK TO SAVEPOINT/ },
      action: { delayMs: 0 },
    })
    const verifiedAgain = proxy.inject({
      when: { from: 'client', message: 'Query', text: /WITH TIES/, nth: 2 },
      action: { delayMs: 0 },
    })
    const dropping = drop(openDatabase(proxy), archive, month)
    await firstAttempt.fired
    await reader.query('COMMIT')
    await dropping
    expect(await tableExists(database, month.table)).toBe(false)
    expect(verifiedAgain.count).toBe(0)
  })

  it('holds off writers from the first look to the end', async () => {
    const { db, month, archive } = await archivedMonth()
    const writer = await openClient()
    let writing: Promise<unknown> | undefined
    await db.transaction(async transaction => {
      await dropArchivedTable(transaction, archive, month.table)
      writing = rejection(writer.query(insertInto(month.table)))
      await waitForWaiters(database, 1)
    })
    expect(await writing).toMatchObject({ code: '42P01' })
  })

  it('is refused where the transaction could not see the newest rows', async () => {
    const { db, month, archive } = await archivedMonth()
    const dropping = db.transaction(async transaction => {
      await transaction.runScript(
        'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM hosts',
      )
      await dropArchivedTable(transaction, archive, month.table)
    })
    expect(await rejection(dropping)).toMatchObject({ sqlState: '25001' })
    expect(await tableExists(database, month.table)).toBe(true)
  })

  it('is refused for a table that is a partition again', async () => {
    const { db, folder, month, archive } = await archivedMonth()
    await database.sql(
      `ALTER TABLE alerts ATTACH PARTITION ${month.table} FOR VALUES FROM ('${month.from}') TO ('${month.to}')`,
    )
    const refused = { code: 'ARCHIVE_FAILED', message: `${month.table} is a partition of alerts` }
    expect(await rejection(drop(db, archive, month))).toMatchObject(refused)
    expect(await rejection(writeArchive(db, archiveRequest(month, folder)))).toMatchObject(refused)
    expect(await tableExists(database, month.table)).toBe(true)
  })

  it('is refused for the archive of another month', async () => {
    const { db, month } = await archivedMonth()
    const other = await archivedMonth()
    expect(await rejection(drop(db, other.archive, month))).toMatchObject({ code: 'ARCHIVE_MISMATCH' })
    expect(await tableExists(database, month.table)).toBe(true)
  })
})

describe('F26: nothing is dropped when the archive on the disk', () => {
  it.each<[string, (archive: Archive, folder: string) => Promise<void>]>([
    ['lost its data file', ({ manifest }, folder) => rm(join(folder, manifest.file))],
    ['lost its manifest', ({ manifestPath }) => rm(manifestPath)],
    ['is longer', ({ manifest }, folder) => appendFile(join(folder, manifest.file), '\0')],
    ['is empty', ({ manifest }, folder) => writeFile(join(folder, manifest.file), '')],
    ['has a cut manifest', ({ manifestPath }) => writeFile(manifestPath, '{"format":"tripwire-alerts"')],
  ])('%s, and a rerun makes another archive', async (_, damage) => {
    const { db, folder, month, archive } = await archivedMonth()
    await damage(archive, folder)
    expect(await rejection(drop(db, archive, month))).toMatchObject({ code: 'ARCHIVE_MISMATCH' })
    expect(await tableExists(database, month.table)).toBe(true)
    const next = await writeArchive(db, archiveRequest(month, folder))
    await drop(db, next, month)
    expect(await tableExists(database, month.table)).toBe(false)
  })

  it('has the manifest of another archive', async () => {
    const { db, month, archive } = await archivedMonth()
    const other = await archivedMonth()
    await writeFile(archive.manifestPath, await readFile(other.archive.manifestPath))
    expect(await rejection(drop(db, archive, month))).toMatchObject({ code: 'ARCHIVE_MISMATCH' })
    expect(await tableExists(database, month.table)).toBe(true)
  })
})
