import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { migrateUp } from '../../src/index.ts'
import type { Archive } from '../../src/partitions/archive/manifest.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { restorePartition } from '../../src/partitions/restore-partition.ts'
import { newAlert, newHost, openStore, rejection } from '../store/fixtures.ts'
import { withSettings } from '../support/session-settings.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  archiveFolder,
  archiveRequest,
  detachedMonth,
  fillMonth,
  imageOf,
  insertAlert,
  isPartition,
  newHosts,
  openDatabase,
  openProxy,
  type TestMonth,
  tableExists,
} from './archive-support.ts'

const database = useTestDatabase()

/** An archive whose table is gone, and what the table looked like. */
async function onlyArchive(count = 200) {
  const db = openDatabase(database)
  const month = await detachedMonth(database, count)
  return { db, month, ...(await archiveAndDrop(month)) }
}

async function archiveAndDrop(month: TestMonth): Promise<{ archive: Archive; before: unknown }> {
  const before = await imageOf(database, month.table)
  const archive = await writeArchive(openDatabase(database), archiveRequest(month, await archiveFolder()))
  await database.sql(`DROP TABLE ${month.table}`)
  return { archive, before }
}

/** What makes a partition: its bounds, constraints, indexes, triggers and defaults, without its name. */
async function definitionOf(table: string): Promise<unknown> {
  const [definition] = await database.sql(`
    SELECT
      pg_get_expr(relpartbound, oid) AS bounds,
      alert_partition_is_complete(oid) AS is_complete,
      ARRAY(SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = relation.oid ORDER BY 1) AS constraints,
      ARRAY(SELECT replace(pg_get_indexdef(indexrelid), relname, 'T') FROM pg_index WHERE indrelid = relation.oid ORDER BY 1) AS indexes,
      ARRAY(SELECT indexrelid IN (SELECT inhrelid FROM pg_inherits) FROM pg_index WHERE indrelid = relation.oid ORDER BY 1) AS attached_indexes,
      ARRAY(SELECT replace(pg_get_triggerdef(oid), relname, 'T') FROM pg_trigger WHERE tgrelid = relation.oid ORDER BY 1) AS triggers,
      ARRAY(
        SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
        FROM pg_attribute
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = relation.oid AND attnum > 0
        ORDER BY attnum
      ) AS columns
    FROM pg_class AS relation
    WHERE oid = '${table}'::regclass`)
  return definition
}

describe('a restored month', () => {
  it('has the same rows, byte for byte, and is a partition like any other', async () => {
    const db = openDatabase(database)
    const month = await detachedMonth(database, 5000)
    const attach = `ALTER TABLE alerts ATTACH PARTITION ${month.table} FOR VALUES FROM ('${month.from}') TO ('${month.to}')`
    await database.sql(attach)
    const definition = await definitionOf(month.table)
    await database.sql(`ALTER TABLE alerts DETACH PARTITION ${month.table}`)
    const { archive, before } = await archiveAndDrop(month)
    expect(before).toMatchObject({ rows: 5000 })
    const progress: number[] = []
    const restored = await restorePartition(db, archive.manifestPath, {
      onProgress: rows => progress.push(rows),
    })
    expect(restored).toEqual({ partition: month.table, from: month.from, to: month.to, rows: 5000 })
    expect(await imageOf(database, month.table)).toEqual(before)
    expect(await definitionOf(month.table)).toEqual(definition)
    expect(progress.length).toBeGreaterThan(1)
    expect(progress.at(-1)).toBe(5000)
  })

  it('is remembered with the digest of its content', async () => {
    const { db, month, archive } = await onlyArchive()
    const remembered = () =>
      database.sql(`
        SELECT encode(content_sha256, 'hex') AS digest, restored_at > now() - INTERVAL '1 minute' AS now
        FROM restored_alert_partitions
        WHERE partition_name = '${month.table}'`)
    expect(await remembered()).toEqual([])
    for (const _ of ['once', 'and again']) {
      await restorePartition(db, archive.manifestPath)
      expect(await remembered()).toEqual([{ digest: archive.manifest.contentSha256, now: true }])
      await database.sql(`DROP TABLE ${month.table}`)
      await database.sql(
        `UPDATE restored_alert_partitions SET restored_at = '2000-01-01', content_sha256 = ''`,
      )
    }
  })

  it('is found by queries, and recognises what is sent again', async () => {
    const { db, month, archive } = await onlyArchive(50)
    await restorePartition(db, archive.manifestPath)
    await using store = await openStore(database)
    const { alerts } = await store.queryAlerts({ from: month.from, to: month.to })
    expect(alerts).toHaveLength(50)
    const again = alerts.map(alert => ({ ...alert, eventDetail: alert.eventDetail ?? undefined }))
    const receipts = await store.insertAlerts(again)
    expect(new Set(receipts.map(({ outcome }) => outcome))).toEqual(new Set(['duplicate']))
  })

  it('keeps alerts that stood in it twice', async () => {
    const db = openDatabase(database)
    const month = await detachedMonth(database, 50)
    await database.sql(`DROP INDEX ${month.table}_stored_once`)
    await database.sql(`INSERT INTO ${month.table} SELECT * FROM ${month.table} WHERE severity = 'WARN'`)
    const { archive, before } = await archiveAndDrop(month)
    await restorePartition(db, archive.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(before)
    expect(await definitionOf(month.table)).toMatchObject({ is_complete: false })
  })

  it('can be one without alerts', async () => {
    const { db, month, archive } = await onlyArchive(0)
    expect(await restorePartition(db, archive.manifestPath)).toMatchObject({ rows: 0 })
    expect(await isPartition(database, month.table)).toBe(true)
  })

  it('may come from an archive with a number, from any folder', async () => {
    const db = openDatabase(database)
    const month = await detachedMonth(database, 50)
    const folder = await archiveFolder()
    await writeArchive(db, archiveRequest(month, folder))
    await database.sql(`UPDATE ${month.table} SET rule_name = 'second'`)
    const before = await imageOf(database, month.table)
    const second = await writeArchive(db, archiveRequest(month, folder))
    await database.sql(`DROP TABLE ${month.table}`)
    await restorePartition(db, second.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('is attached without being read once more', async () => {
    const { archive, month } = await onlyArchive()
    const proxy = await openProxy(withSettings(database, { client_min_messages: 'debug1' }))
    const implied = proxy.inject({
      when: { from: 'server', message: 'NoticeResponse', text: /is implied by existing constraints/ },
      action: { delayMs: 0 },
    })
    await restorePartition(openDatabase(proxy), archive.manifestPath)
    expect((await implied.fired).text).toContain(month.table)
  })

  it('is the same whatever the settings of the session', async () => {
    const month = await detachedMonth(database, 200)
    await database.sql(
      `UPDATE ${month.table} SET timestamp = '0044-03-15 12:00:00.5+00 BC' WHERE severity = 'WARN'`,
    )
    const { archive, before } = await archiveAndDrop(month)
    const db = openDatabase(
      withSettings(database, {
        timezone: 'Asia/Kolkata',
        datestyle: 'German',
        default_transaction_isolation: 'serializable',
      }),
    )
    await restorePartition(db, archive.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('goes to the schema of alerts', async () => {
    await database.sql('CREATE SCHEMA other')
    const other = withSettings(database, { search_path: 'other,public' })
    await migrateUp(other)
    await using store = await openStore(other)
    const hostId = await newHost(store)
    await store.insertAlerts([newAlert(hostId, { receivedAt: '2000-02-29T12:00:00.000001Z' })])
    await database.sql('ALTER TABLE other.alerts DETACH PARTITION other.alerts_y2000m02')
    const month = { table: 'alerts_y2000m02', from: '2000-02-01T00:00:00Z', to: '2000-03-01T00:00:00Z' }
    const db = openDatabase(other)
    const archive = await writeArchive(db, archiveRequest(month, await archiveFolder()))
    await database.sql('DROP TABLE other.alerts_y2000m02')
    await restorePartition(db, archive.manifestPath)
    expect(await store.queryAlerts({ from: month.from, to: month.to })).toMatchObject({
      alerts: [{ hostId }],
    })
    expect(await tableExists(database, 'other.alerts_y2000m02')).toBe(true)
  })
})

describe('MONTH_EXISTS is the answer', () => {
  it.each<[string, (month: TestMonth) => string]>([
    ['the month is there', ({ from }) => `SELECT ensure_alert_partition('${from}')`],
    [
      'a partition with another name holds it',
      ({ from, to }) => `CREATE TABLE held PARTITION OF alerts FOR VALUES FROM ('${from}') TO ('${to}')`,
    ],
    [
      'a partition lies within it',
      ({ from }) =>
        `CREATE TABLE held PARTITION OF alerts FOR VALUES FROM ('${from.replace('-01T', '-11T')}') TO ('${from.replace('-01T', '-12T')}')`,
    ],
    [
      'an hour of it belongs to a partition',
      ({ from }) =>
        `CREATE TABLE held PARTITION OF alerts FOR VALUES FROM ('${from.replace('T00', 'T01')}') TO ('${from.replace('T00', 'T02')}')`,
    ],
    ['another table has its name', ({ table }) => `CREATE TABLE ${table} (id INTEGER)`],
    ['a view has its name', ({ table }) => `CREATE VIEW ${table} AS SELECT 1`],
  ])('when %s', async (name, make) => {
    const { db, month, archive, before } = await onlyArchive(20)
    await database.sql(make(month))
    const filled: number[] = []
    const restoring = restorePartition(db, archive.manifestPath, { onProgress: rows => filled.push(rows) })
    expect(await rejection(restoring)).toMatchObject({
      code: 'MONTH_EXISTS',
      message: expect.stringContaining(`${month.table} is not restored: `),
    })
    // By the day, it is known before anything is filled.
    expect(filled).toEqual(name.startsWith('an hour') ? [20] : [])
    await database.sql('DROP TABLE IF EXISTS held')
    await database.sql(`DO $$ BEGIN
      DROP VIEW IF EXISTS ${month.table};
    EXCEPTION WHEN wrong_object_type THEN
      DROP TABLE ${month.table};
    END $$`)
    await restorePartition(db, archive.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('to one of two who restore it at once', async () => {
    const { db, month, archive, before } = await onlyArchive()
    const results = await Promise.allSettled([1, 2].map(() => restorePartition(db, archive.manifestPath)))
    const refused = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []))
    expect(refused).toHaveLength(1)
    expect(refused[0]).toMatchObject({ code: expect.stringMatching(/^(MONTH_EXISTS|QUERY_FAILED)$/) })
    expect(await imageOf(database, month.table)).toEqual(before)
  })
})

describe('a restore is refused', () => {
  it('when hosts are not registered, naming each, and works once they are', async () => {
    const db = openDatabase(database)
    const month = await detachedMonth(database, 0)
    const hostIds = await newHosts(database, 12)
    await database.sql(fillMonth(month, 100, hostIds))
    const names = await database.sql(
      `SELECT host_id, hostname FROM hosts WHERE host_id IN (SELECT host_id FROM ${month.table})`,
    )
    const { archive, before } = await archiveAndDrop(month)
    await database.sql(`DELETE FROM hosts WHERE host_id IN (${hostIds.map(id => `'${id}'`).join(', ')})`)
    const [first] = archive.manifest.hosts
    expect(await rejection(restorePartition(db, archive.manifestPath))).toMatchObject({
      code: 'UNKNOWN_HOST',
      message: expect.stringMatching(
        /^the archive names hosts that are not registered: (web-[0-9a-f-]+ \([0-9a-f-]+\)(, )?){10} and 2 more$/,
      ),
      hint: `register each: tripwire-storage hosts add ${first?.hostname} --id ${first?.hostId}`,
    })
    expect(await tableExists(database, month.table)).toBe(false)
    for (const host of names) {
      await database.sql(
        `INSERT INTO hosts (host_id, hostname) VALUES ('${host['host_id']}', '${host['hostname']}')`,
      )
    }
    await restorePartition(db, archive.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('when its host was gone before it was archived', async () => {
    const db = openDatabase(database)
    const month = await detachedMonth(database, 0)
    const hostId = randomUUID()
    await insertAlert(database, month.table, { alertId: randomUUID(), hostId, receivedAt: month.from })
    const { archive } = await archiveAndDrop(month)
    expect(await rejection(restorePartition(db, archive.manifestPath))).toMatchObject({
      code: 'UNKNOWN_HOST',
      message: `the archive names hosts that are not registered: - (${hostId})`,
      hint: `register each: tripwire-storage hosts add NAME --id ${hostId}`,
    })
  })

  it('when there is no manifest at the path', async () => {
    const db = openDatabase(database)
    const path = join(await archiveFolder(), 'absent.manifest.json')
    expect(await rejection(restorePartition(db, path))).toMatchObject({
      code: 'INVALID_INPUT',
      field: 'manifestPath',
      value: path,
    })
  })

  it('when an option is unknown or no such thing', async () => {
    const db = openDatabase(database)
    for (const options of ['{"onprogress":1}', '{"signal":1}', '{"onProgress":1}']) {
      expect(await rejection(restorePartition(db, 'some.json', JSON.parse(options)))).toMatchObject({
        code: expect.stringMatching(/^(UNKNOWN_OPTION|INVALID_INPUT)$/),
      })
    }
  })
})
