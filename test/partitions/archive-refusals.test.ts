import { chmod, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { rejection } from '../store/fixtures.ts'
import { withSettings } from '../support/session-settings.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { archiveFolder, archiveRequest, detachedMonth, openDatabase } from './archive-support.ts'

const database = useTestDatabase()

describe('a month is not archived', () => {
  it('when its bounds are not those of one month in UTC', async () => {
    const db = openDatabase(database)
    const folder = await archiveFolder()
    const month = await detachedMonth(database, 3)
    for (const bounds of [
      { to: month.from },
      { from: month.from.replace('-01T', '-02T') },
      { from: month.from.replace('00:00:00.000000Z', '00:00:00.000001Z') },
      { from: month.from.replace('Z', '+01:00'), to: month.to.replace('Z', '+01:00') },
      { to: `2${month.to.slice(1).replace(/^\d{3}/, '050')}` },
    ]) {
      const request = { ...archiveRequest(month, folder), ...bounds }
      expect(await rejection(writeArchive(db, request))).toMatchObject({ code: 'INVALID_INPUT', field: 'to' })
    }
    expect(await readdir(folder)).toEqual([])
  })

  it('when its table is not there, or is no table', async () => {
    const db = openDatabase(database)
    const folder = await archiveFolder()
    const month = await detachedMonth(database, 3)
    await database.sql('CREATE VIEW some_view AS SELECT 1')
    for (const table of ['absent', 'some_view', `public.${month.table}`]) {
      const request = { ...archiveRequest(month, folder), table }
      expect(await rejection(writeArchive(db, request))).toMatchObject({
        code: 'ARCHIVE_FAILED',
        message: `there is no table ${table}`,
      })
    }
  })

  it.each([
    [
      'a column of another type',
      (table: string) => `ALTER TABLE ${table} ALTER COLUMN event_detail TYPE json`,
    ],
    ['a column more', (table: string) => `ALTER TABLE ${table} ADD COLUMN note text`],
  ])('when its table has %s, which the archive would not hold', async (_, change) => {
    const db = openDatabase(database)
    const folder = await archiveFolder()
    const month = await detachedMonth(database, 3)
    await database.sql(change(month.table))
    expect(await rejection(writeArchive(db, archiveRequest(month, folder)))).toMatchObject({
      code: 'ARCHIVE_FAILED',
      message: expect.stringMatching(/ has a column (event_detail|note) that an archive does not hold$/),
    })
    expect(await readdir(folder)).toEqual([])
  })

  it('when it holds an alert outside its bounds, which could not be restored', async () => {
    const db = openDatabase(database)
    const folder = await archiveFolder()
    const month = await detachedMonth(database, 3)
    for (const moment of [`'${month.to}'`, `'${month.from}'::timestamptz - INTERVAL '1 microsecond'`]) {
      await database.sql(`UPDATE ${month.table} SET received_at = ${moment} WHERE severity = 'WARN'`)
      expect(await rejection(writeArchive(db, archiveRequest(month, folder)))).toMatchObject({
        code: 'ARCHIVE_FAILED',
      })
    }
    expect(await readdir(folder)).toEqual([])
  })

  it('when a column is empty that must not be', async () => {
    const db = openDatabase(database)
    const folder = await archiveFolder()
    const month = await detachedMonth(database, 3)
    await database.sql(`ALTER TABLE ${month.table} ALTER COLUMN rule_name DROP NOT NULL`)
    await database.sql(`UPDATE ${month.table} SET rule_name = NULL WHERE severity = 'WARN'`)
    expect(await rejection(writeArchive(db, archiveRequest(month, folder)))).toMatchObject({
      code: 'MALFORMED_ROW',
    })
    expect(await readdir(folder)).toEqual([])
  })

  it('when a policy hides rows from the one who archives', async () => {
    const folder = await archiveFolder()
    const month = await detachedMonth(database, 100)
    const role = `archivist_${database.name}`
    onTestFinished(async () => {
      await database.sql(`DROP OWNED BY ${role} CASCADE`)
      await database.sql(`DROP ROLE ${role}`)
    })
    await database.sql(`
      CREATE ROLE ${role};
      GRANT SELECT ON hosts TO ${role};
      ALTER TABLE ${month.table} OWNER TO ${role};
      ALTER TABLE ${month.table} ENABLE ROW LEVEL SECURITY;
      ALTER TABLE ${month.table} FORCE ROW LEVEL SECURITY;
      CREATE POLICY some_rows ON ${month.table} USING (severity = 'WARN')`)
    const db = openDatabase(withSettings(database, { role }))
    expect(await rejection(writeArchive(db, archiveRequest(month, folder)))).toMatchObject({
      sqlState: '42501',
    })
    await database.sql(`ALTER TABLE ${month.table} NO FORCE ROW LEVEL SECURITY`)
    expect((await writeArchive(db, archiveRequest(month, folder))).manifest.rows).toBe(100)
  })

  it('when another one archives it at this moment', async () => {
    const db = openDatabase(database)
    const folder = await archiveFolder()
    const month = await detachedMonth(database, 3)
    await db.transaction(async other => {
      await other.runScript(`LOCK TABLE ${month.table} IN SHARE UPDATE EXCLUSIVE MODE`)
      expect(await rejection(writeArchive(db, archiveRequest(month, folder)))).toMatchObject({
        sqlState: '55P03',
      })
    })
    expect(await readdir(folder)).toEqual([])
    await writeArchive(db, archiveRequest(month, folder))
  })
})

describe('ARCHIVE_FAILED with a hint is what a folder gives', () => {
  it('that is not there', async () => {
    const db = openDatabase(database)
    const folder = join(await archiveFolder(), 'absent')
    const month = await detachedMonth(database, 3)
    expect(await rejection(writeArchive(db, archiveRequest(month, folder)))).toMatchObject({
      code: 'ARCHIVE_FAILED',
      cause: { code: 'ENOENT' },
      hint: 'make the folder, or name another one',
    })
  })

  it('that is a file, or below one', async () => {
    const db = openDatabase(database)
    const file = join(await archiveFolder(), 'file')
    await writeFile(file, '')
    const month = await detachedMonth(database, 3)
    for (const folder of [file, join(file, 'below')]) {
      expect(await rejection(writeArchive(db, archiveRequest(month, folder)))).toMatchObject({
        code: 'ARCHIVE_FAILED',
        hint: 'name a folder',
      })
    }
  })

  it('that cannot be written', async context => {
    if (process.getuid?.() === 0) return context.skip('root may write everywhere')
    const db = openDatabase(database)
    const folder = await archiveFolder()
    await chmod(folder, 0o500)
    const month = await detachedMonth(database, 3)
    expect(await rejection(writeArchive(db, archiveRequest(month, folder)))).toMatchObject({
      code: 'ARCHIVE_FAILED',
      cause: { code: 'EACCES' },
      hint: 'give this account access, or name another folder',
    })
  })
})
