import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { jsonLine } from '../../src/cli/output.ts'
import { importAlerts } from '../../src/import/import-alerts.ts'
import { migrateUp } from '../../src/index.ts'
import type { Archive } from '../../src/partitions/archive/manifest.ts'
import { digestTable, readTableLines } from '../../src/partitions/archive/table-lines.ts'
import { prepareTransaction } from '../../src/partitions/archive/transaction-settings.ts'
import { readArchive, verifyArchive } from '../../src/partitions/archive/verify-archive.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { openStore } from '../store/fixtures.ts'
import { runAdminSql, withDatabaseName } from '../support/admin-sql.ts'
import { withSettings } from '../support/session-settings.ts'
import { type TestDatabase, useTestDatabase } from '../support/test-database.ts'
import {
  archiveFolder,
  archiveRequest,
  detachedMonth,
  imageOf,
  insertAlert,
  nextMonth,
  openDatabase,
  SCHEMA_VERSION,
} from './archive-support.ts'

const database = useTestDatabase()
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function contentOf(folder: string, archive: Archive): Promise<string> {
  return gunzipSync(await readFile(join(folder, archive.manifest.file))).toString()
}

async function archivedMonth(count: number) {
  const db = openDatabase(database)
  const folder = await archiveFolder()
  const month = await detachedMonth(database, count)
  return { db, folder, month, archive: await writeArchive(db, archiveRequest(month, folder)) }
}

/** A migrated database that sorts by language, and ends with the test; `undefined` where PostgreSQL cannot. */
async function databaseWithIcu(): Promise<Pick<TestDatabase, 'connectionString' | 'sql'> | undefined> {
  const known = await database.sql(`SELECT FROM pg_collation WHERE collname = 'und-x-icu'`)
  if (known.length === 0) return undefined
  const name = `${database.name}_icu`
  onTestFinished(async () => {
    await database.sql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  })
  await database.sql(
    `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'und' LOCALE 'C'`,
  )
  const connectionString = withDatabaseName(database.connectionString, name)
  await migrateUp({ connectionString })
  return { connectionString, sql: text => runAdminSql(connectionString, text) }
}

describe('an archive', () => {
  it('holds one line an alert, as `alerts --json` prints it, the first received first', async () => {
    const { folder, month, archive } = await archivedMonth(300)
    await database.sql(
      `ALTER TABLE alerts ATTACH PARTITION ${month.table} FOR VALUES FROM ('${month.from}') TO ('${month.to}')`,
    )
    await using store = await openStore(database)
    const { alerts } = await store.queryAlerts({ from: month.from, to: month.to, limit: 1000 })
    const printed = alerts
      .toReversed()
      .map(alert => jsonLine({ ...alert, eventDetail: alert.eventDetail ?? undefined }))
    expect(printed).toHaveLength(300)
    expect(await contentOf(folder, archive)).toBe(`${printed.join('\n')}\n`)
  })

  it('is described by its manifest', async () => {
    const { folder, month, archive } = await archivedMonth(300)
    const hosts = await database.sql(`
      SELECT DISTINCT host_id AS "hostId", hostname
      FROM hosts
      JOIN ${month.table} USING (host_id)
      ORDER BY host_id`)
    const file = await readFile(join(folder, archive.manifest.file))
    const content = gunzipSync(file)
    expect(archive.manifest).toEqual({
      format: 'tripwire-alerts',
      formatVersion: 1,
      partition: month.table,
      from: month.from,
      to: month.to,
      file: `${month.table}.ndjson.gz`,
      rows: 300,
      fileBytes: file.length,
      fileSha256: sha256(file),
      contentBytes: content.length,
      contentSha256: sha256(content),
      schemaVersion: SCHEMA_VERSION,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      hosts,
    })
    expect(hosts).toHaveLength(2)
    expect(archive.manifestPath).toBe(join(folder, `${month.table}.manifest.json`))
    expect(await readArchive(archive.manifestPath)).toEqual(archive)
    await verifyArchive(archive)
  })

  it('is two files that only their owner can read', async () => {
    const { folder, month } = await archivedMonth(3)
    const names = (await readdir(folder)).sort()
    expect(names).toEqual([`${month.table}.manifest.json`, `${month.table}.ndjson.gz`])
    for (const name of names) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600)
  })

  it('can be read by `ingest`, which stores the same alerts', async () => {
    const { folder, month, archive } = await archivedMonth(500)
    const before = await imageOf(database, month.table)
    await database.sql(`DROP TABLE ${month.table}`)
    await using store = await openStore(database)
    const source = createReadStream(join(folder, archive.manifest.file))
    const report = await importAlerts(store, source, { format: 'alert' })
    expect(report).toMatchObject({ lines: 500, stored: 500, unreadable: 0, refused: 0, hosts: 0 })
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('can be that of a month without alerts', async () => {
    const { folder, archive } = await archivedMonth(0)
    expect(archive.manifest).toMatchObject({ rows: 0, contentBytes: 0, hosts: [] })
    expect(await contentOf(folder, archive)).toBe('')
    await verifyArchive(archive)
  })

  it('names a host that is gone by its id alone', async () => {
    const db = openDatabase(database)
    const folder = await archiveFolder()
    const month = await detachedMonth(database, 10)
    await database.sql(`DELETE FROM hosts WHERE host_id IN (SELECT host_id FROM ${month.table})`)
    const { manifest } = await writeArchive(db, archiveRequest(month, folder))
    expect(manifest.hosts.map(({ hostname }) => hostname)).toEqual([null, null])
  })

  it('goes by the name of its month, whatever the name of the table', async () => {
    const db = openDatabase(database)
    const folder = await archiveFolder()
    const month = await detachedMonth(database, 10)
    await database.sql(`ALTER TABLE ${month.table} RENAME TO "January; DROP TABLE hosts --"`)
    const renamed = { ...month, table: 'January; DROP TABLE hosts --' }
    const { manifest } = await writeArchive(db, archiveRequest(renamed, folder))
    expect(manifest).toMatchObject({ partition: month.table, file: `${month.table}.ndjson.gz`, rows: 10 })
    await database.sql('DROP TABLE "January; DROP TABLE hosts --"')
  })
})

describe('the lines of a table', () => {
  it('are the same whatever the settings of the session', async () => {
    const month = await detachedMonth(database, 200)
    await database.sql(
      `UPDATE ${month.table} SET timestamp = '0044-03-15 12:00:00.000001+00 BC' WHERE event_detail IS NULL`,
    )
    const digests = new Set<string>()
    for (const settings of [
      {},
      { timezone: 'Asia/Kolkata', datestyle: 'German', intervalstyle: 'iso_8601', extra_float_digits: '-15' },
      { timezone: 'America/St_Johns', datestyle: 'SQL,DMY', default_transaction_isolation: 'serializable' },
      { enable_indexscan: 'off', enable_incremental_sort: 'off', work_mem: '64kB' },
    ]) {
      const db = openDatabase(withSettings(database, settings))
      const content = await db.transaction(transaction => digestTable(transaction, month.table))
      expect(content.rows).toBe(200)
      digests.add(content.contentSha256)
    }
    expect(digests.size).toBe(1)
  })

  it('are in the order of their bytes where alerts stand twice, whatever the collation', async context => {
    const icu = await databaseWithIcu()
    if (icu === undefined) return context.skip('this PostgreSQL was built without ICU')
    const db = openDatabase(icu)
    const { table, from } = nextMonth()
    await db.runScript(`SELECT ensure_alert_partition('${from}'); DROP INDEX ${table}_stored_once`)
    const [hostId, alertId] = [randomUUID(), randomUUID()]
    for (const ruleName of ['b', 'ä', 'Z', 'a']) {
      await insertAlert(icu, table, { alertId, hostId, ruleName, receivedAt: from })
    }
    const lines = await db.transaction(async transaction => {
      const read = await Array.fromAsync(readTableLines(transaction, table))
      return Buffer.concat(read).toString().trimEnd().split('\n')
    })
    expect(lines.map(line => JSON.parse(line).ruleName)).toEqual(['Z', 'a', 'b', 'ä'])
  })

  it('are the same without the index, by which they are read in pages', async () => {
    const db = openDatabase(database)
    const month = await detachedMonth(database, 1500)
    // At the edge of a page, and more than one holds: hundreds that only their lines tell apart, some of them not at all.
    await database.sql(`
      DROP INDEX ${month.table}_stored_once;
      ALTER TABLE ${month.table} DISABLE TRIGGER USER;
      INSERT INTO ${month.table}
      SELECT alert_id, host_id, timestamp, tripwire_type, 'again ' || n / 2, event_detail, severity, received_at
      FROM (SELECT * FROM ${month.table} ORDER BY received_at OFFSET 500 LIMIT 5) AS chosen
      CROSS JOIN generate_series(1, 300) AS n`)
    const digest = () => db.transaction(transaction => digestTable(transaction, month.table))
    const byPages = await digest()
    expect(byPages.rows).toBe(3000)
    await database.sql(`DROP INDEX ${month.table}_received_at_alert_id_host_id_severity_tripw_idx`)
    expect(await digest()).toEqual(byPages)
  })

  it('tell SQL NULL from JSON null', async () => {
    const db = openDatabase(database)
    const month = await detachedMonth(database, 0)
    const hostId = randomUUID()
    const digestOf = async (detail: string) => {
      await database.sql(`TRUNCATE ${month.table}`)
      const alertId = '018f3c00-0000-7000-8000-00000000000a'
      await insertAlert(database, month.table, { alertId, hostId, detail, receivedAt: month.from })
      return db.transaction(transaction => digestTable(transaction, month.table))
    }
    expect(await digestOf('NULL')).not.toEqual(await digestOf(`'null'`))
  })

  it('are fetched within bounds, also where some are long', async () => {
    const db = openDatabase(database)
    const month = await detachedMonth(database, 2000)
    await database.sql(`
      UPDATE ${month.table}
      SET event_detail = to_jsonb(repeat('☃', 1000000))
      WHERE alert_id IN (SELECT alert_id FROM ${month.table} ORDER BY received_at OFFSET 700 LIMIT 4)`)
    const [image] = await database.sql(`
      SELECT sum(octet_length(event_detail::text))::int AS bytes
      FROM ${month.table}
      WHERE octet_length(event_detail::text) > 1000000`)
    expect(image?.['bytes']).toBe(4 * 3_000_002)
    let [lines, longest] = [0, 0]
    await db.transaction(async transaction => {
      await prepareTransaction(transaction)
      for await (const bytes of readTableLines(transaction, month.table)) {
        const count = bytes.toString().split('\n').length - 1
        if (bytes.length > 1_000_000) expect(count).toBe(1)
        lines += count
        longest = Math.max(longest, bytes.length)
      }
    })
    expect(lines).toBe(2000)
    expect(longest).toBeGreaterThan(3_000_000)
  })
})

describe('archiving a month again', () => {
  it('answers with the archive that is there', async () => {
    const { db, folder, month, archive } = await archivedMonth(100)
    const before = await stat(archive.manifestPath)
    expect(await writeArchive(db, archiveRequest(month, folder))).toEqual(archive)
    expect((await stat(archive.manifestPath)).mtimeMs).toBe(before.mtimeMs)
    expect(await readdir(folder)).toHaveLength(2)
  })

  it('takes the next number when the table is another one by now, and overwrites nothing', async () => {
    const { db, folder, month, archive } = await archivedMonth(100)
    const [first, firstManifest] = await Promise.all([
      readFile(join(folder, archive.manifest.file)),
      readFile(archive.manifestPath),
    ])
    const numbers: unknown[] = []
    for (const ruleName of ['second', 'third']) {
      await database.sql(`UPDATE ${month.table} SET rule_name = '${ruleName}' WHERE severity = 'WARN'`)
      numbers.push((await writeArchive(db, archiveRequest(month, folder))).manifest.file)
    }
    expect(numbers).toEqual([`${month.table}-2.ndjson.gz`, `${month.table}-3.ndjson.gz`])
    expect(await readFile(join(folder, archive.manifest.file))).toEqual(first)
    expect(await readFile(archive.manifestPath)).toEqual(firstManifest)
  })

  it('finds an older archive with the same content', async () => {
    const { db, folder, month, archive } = await archivedMonth(100)
    await database.sql(`UPDATE ${month.table} SET rule_name = 'other ' || rule_name`)
    await writeArchive(db, archiveRequest(month, folder))
    await database.sql(`UPDATE ${month.table} SET rule_name = substr(rule_name, 7)`)
    expect(await writeArchive(db, archiveRequest(month, folder))).toEqual(archive)
  })
})
