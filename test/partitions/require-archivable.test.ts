import { chmod, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { requireArchivable } from '../../src/partitions/archive/require-archivable.ts'
import { rejection } from '../store/fixtures.ts'
import { mountDisk, NO_MOUNT } from '../support/mount-disk.ts'
import { withSettings } from '../support/session-settings.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  archiveFolder,
  detachedMonth,
  fillMonth,
  newHosts,
  nextMonth,
  openDatabase,
  type TestMonth,
} from './archive-support.ts'
import { connectClient } from './fixtures.ts'

const database = useTestDatabase()

async function attachedMonth(count = 20): Promise<TestMonth> {
  const month = nextMonth()
  await database.sql(`SELECT ensure_alert_partition('${month.from}')`)
  await database.sql(fillMonth(month, count, await newHosts(database, 2)))
  return month
}

/** A role that may do what the arguments say. It goes with the test. */
async function newRole(grants: (role: string) => string): Promise<string> {
  const role = `archivist_${database.name}`
  onTestFinished(async () => {
    await database.sql(`DROP OWNED BY ${role} CASCADE`)
    await database.sql(`DROP ROLE ${role}`)
  })
  await database.sql(`CREATE ROLE ${role}; ${grants(role)}`)
  return role
}

describe('a month can be archived', () => {
  it('when it is attached or detached, and nothing is left in the folder', async () => {
    const db = openDatabase(database)
    const folder = await archiveFolder()
    await requireArchivable(db, (await attachedMonth()).table, folder)
    await requireArchivable(db, (await detachedMonth(database, 20)).table, folder)
    expect(await readdir(folder)).toEqual([])
  })

  it('whatever the settings of the session', async () => {
    const db = openDatabase(withSettings(database, { timezone: 'Asia/Kolkata', datestyle: 'German' }))
    await requireArchivable(db, (await attachedMonth()).table, await archiveFolder())
  })

  it('by a role that is a member of its owner', async () => {
    const month = await attachedMonth()
    const role = await newRole(
      name => `GRANT SELECT ON hosts TO ${name}; ALTER TABLE ${month.table} OWNER TO ${name}`,
    )
    await requireArchivable(
      openDatabase(withSettings(database, { role })),
      month.table,
      await archiveFolder(),
    )
  })

  it('while alerts are written and its table is held by a long query', async () => {
    const month = await attachedMonth()
    await using client = await connectClient(database.directConnectionString)
    await client.query(`BEGIN; DELETE FROM ${month.table}; LOCK TABLE alerts IN SHARE UPDATE EXCLUSIVE MODE`)
    await requireArchivable(openDatabase(database), month.table, await archiveFolder())
  })
})

describe('ARCHIVE_FAILED, before the month is detached, is the answer', () => {
  it('when the folder is not there, or is a file', async () => {
    const db = openDatabase(database)
    const month = await attachedMonth()
    const file = join(await archiveFolder(), 'file')
    await writeFile(file, '')
    for (const [folder, hint] of [
      [`${file}s`, 'make the folder, or name another one'],
      [file, 'name a folder'],
    ] as const) {
      expect(await rejection(requireArchivable(db, month.table, folder))).toMatchObject({
        code: 'ARCHIVE_FAILED',
        hint,
      })
    }
  })

  it('when the folder cannot be written', async context => {
    if (process.getuid?.() === 0) return context.skip('root may write everywhere')
    const folder = await archiveFolder()
    await chmod(folder, 0o500)
    const refused = await rejection(
      requireArchivable(openDatabase(database), (await attachedMonth()).table, folder),
    )
    expect(refused).toMatchObject({ code: 'ARCHIVE_FAILED', cause: { code: 'EACCES' } })
  })

  it.for([
    ['full', 'size=64k', 'ENOSPC'],
    ['read-only', 'ro', 'EROFS'],
  ] as const)('when the disk is %s', async ([, options, code], context) => {
    const disk = mountDisk(options)
    if (disk === undefined) return context.skip(NO_MOUNT)
    const month = await attachedMonth()
    if (code === 'ENOSPC') await writeFile(join(disk, 'ballast'), Buffer.alloc(64 * 1024))
    const before = await readdir(disk)
    expect(await rejection(requireArchivable(openDatabase(database), month.table, disk))).toMatchObject({
      code: 'ARCHIVE_FAILED',
      cause: { code },
      hint: expect.any(String),
    })
    expect(await readdir(disk)).toEqual(before)
  })

  it('when there is no such table', async () => {
    const refused = await rejection(
      requireArchivable(openDatabase(database), 'absent', await archiveFolder()),
    )
    expect(refused).toMatchObject({ code: 'ARCHIVE_FAILED', message: 'there is no table absent' })
  })

  it('when the partition is partitioned itself', async () => {
    const { table, from, to } = nextMonth()
    await database.sql(
      `CREATE TABLE ${table} PARTITION OF alerts FOR VALUES FROM ('${from}') TO ('${to}') PARTITION BY LIST (severity)`,
    )
    const refused = await rejection(requireArchivable(openDatabase(database), table, await archiveFolder()))
    expect(refused).toMatchObject({ code: 'ARCHIVE_FAILED', message: `${table} is no ordinary table` })
  })

  it('when its bounds are not those of one month', async () => {
    const { table, from } = nextMonth()
    await database.sql(
      `CREATE TABLE ${table} PARTITION OF alerts FOR VALUES FROM ('${from}') TO ('${from.replace('-01T', '-11T')}')`,
    )
    const refused = await rejection(requireArchivable(openDatabase(database), table, await archiveFolder()))
    expect(refused).toMatchObject({ code: 'ARCHIVE_FAILED', message: expect.stringContaining('bounds') })
  })

  it('when a view or a table needs it, for which it could not be dropped', async () => {
    const db = openDatabase(database)
    const month = await attachedMonth()
    await database.sql(`CREATE VIEW of_a_month AS SELECT rule_name FROM ${month.table}`)
    expect(await rejection(requireArchivable(db, month.table, await archiveFolder()))).toMatchObject({
      code: 'ARCHIVE_FAILED',
      message: expect.stringContaining('view of_a_month'),
    })
    await database.sql(`
      DROP VIEW of_a_month;
      CREATE TABLE notes (
        alert_id UUID,
        host_id UUID,
        FOREIGN KEY (alert_id, host_id) REFERENCES ${month.table} (alert_id, host_id)
      )`)
    expect(await rejection(requireArchivable(db, month.table, await archiveFolder()))).toMatchObject({
      code: 'ARCHIVE_FAILED',
      message: expect.stringContaining('on table notes'),
    })
    await database.sql('DROP TABLE notes')
    await requireArchivable(db, month.table, await archiveFolder())
  })

  it.each<[string, (table: string, role: string) => string, string]>([
    ['belongs to another role', () => '', 'may not drop it'],
    [
      'belongs to another role, and can be read',
      (table, role) => `GRANT SELECT ON ${table}, hosts TO ${role}`,
      'may not drop it',
    ],
    [
      'has hosts that cannot be read',
      (table, role) => `ALTER TABLE ${table} OWNER TO ${role}`,
      'cannot be read',
    ],
    [
      'hides rows from its owner',
      (table, role) =>
        `GRANT SELECT ON hosts TO ${role}; ALTER TABLE ${table} OWNER TO ${role};
         ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY; ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`,
      'policy hides alerts',
    ],
  ])('when the partition %s', async (_, grants, message) => {
    const month = await attachedMonth()
    const role = await newRole(name => grants(month.table, name))
    const db = openDatabase(withSettings(database, { role }))
    expect(await rejection(requireArchivable(db, month.table, await archiveFolder()))).toMatchObject({
      code: 'ARCHIVE_FAILED',
      message: expect.stringContaining(message),
      hint: expect.any(String),
    })
  })

  it('when it holds an alert outside its month', async () => {
    const db = openDatabase(database)
    const month = await attachedMonth()
    // By the catalogue, as a damaged one would be: no statement writes such a row.
    const edge = `'${month.to}'::timestamptz`
    await database.sql(`
      ALTER TABLE alerts DETACH PARTITION ${month.table};
      ALTER TABLE ${month.table} DISABLE TRIGGER USER;
      UPDATE ${month.table} SET received_at = ${edge} WHERE severity = 'WARN';
      ALTER TABLE ${month.table} ADD CONSTRAINT bounds CHECK (
        received_at IS NOT NULL AND received_at >= '${month.from}'::timestamptz AND received_at < ${edge}
      ) NOT VALID;
      UPDATE pg_constraint SET convalidated = true WHERE conname = 'bounds';
      ALTER TABLE alerts ATTACH PARTITION ${month.table} FOR VALUES FROM ('${month.from}') TO ('${month.to}')`)
    expect(await rejection(requireArchivable(db, month.table, await archiveFolder()))).toMatchObject({
      code: 'ARCHIVE_FAILED',
      message: expect.stringContaining('were not received from'),
    })
  })
})
