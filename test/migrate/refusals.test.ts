import { beforeEach, describe, expect, it } from 'vitest'
import { migrateDown, migrateUp, migrationStatus, planMigrateUp, Store } from '../../src/index.ts'
import { openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { describeSchema, emptySchema, migrationFolder, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const { connectionString } = database
beforeEach(() => emptySchema(database))

const setVersion = (version: number, dirty = false) =>
  database.sql(`DELETE FROM schema_migrations; INSERT INTO schema_migrations VALUES (${version}, ${dirty})`)

const first = { '001_a.up.sql': 'CREATE TABLE a ()', '001_a.down.sql': 'DROP TABLE a' }

describe('the migration history', () => {
  it('is refused when it is dirty', async () => {
    await migrateUp({ connectionString, steps: 3 })
    await setVersion(3, true)
    const dirty = { code: 'MIGRATION_DIRTY', message: expect.stringContaining('3'), hint: expect.any(String) }
    expect(await rejection(migrateUp({ connectionString }))).toMatchObject(dirty)
    expect(await rejection(migrateDown({ connectionString, steps: 1 }))).toMatchObject(dirty)
    expect(await rejection(planMigrateUp({ connectionString }))).toMatchObject(dirty)
    expect(await rejection(Store.open({ connectionString }))).toMatchObject(dirty)
    expect(await migrationStatus({ connectionString })).toMatchObject({ version: 3, dirty: true })
  })

  it.each([99, 20_260_101_120_000])(
    'is refused when it is at version %i, beyond the files',
    async version => {
      await migrateUp({ connectionString })
      await setVersion(version)
      const unknown = { code: 'MIGRATION_HISTORY', message: expect.stringContaining(String(version)) }
      expect(await rejection(migrateUp({ connectionString }))).toMatchObject(unknown)
      expect(await rejection(migrateDown({ connectionString, steps: 1 }))).toMatchObject(unknown)
    },
  )
})

describe('a folder of migrations', () => {
  it.each([
    ['a gap', { ...first, '003_c.up.sql': '', '003_c.down.sql': '' }, 'version 2 is missing'],
    ['no version 1', { '002_b.up.sql': '', '002_b.down.sql': '' }, 'version 1 is missing'],
    ['no down file', { '001_a.up.sql': '' }, 'version 1 (a) has no down file'],
    ['no up file', { '001_a.down.sql': '' }, 'version 1 (a) has no up file'],
    [
      'two names for a version',
      { ...first, '001_b.up.sql': '', '001_b.down.sql': '' },
      'version 1 stands twice',
    ],
    ['a version written in two ways', { ...first, '1_a.up.sql': '' }, 'version 1 stands twice'],
  ])('with %s is refused before anything is done', async (_, files, problem) => {
    await using folder = await migrationFolder(files)
    const error = await rejection(migrateUp({ connectionString, migrationsDir: folder.dir }))
    expect(error).toMatchObject({ code: 'MIGRATION_HISTORY', message: expect.stringContaining(problem) })
    expect(await describeSchema(database)).toEqual([])
  })

  it('may hold other files', async () => {
    await using folder = await migrationFolder({ ...first, 'README.md': '', '001_a.up.sql.orig': 'garbage' })
    expect(await migrateUp({ connectionString, migrationsDir: folder.dir })).toMatchObject([
      { version: 1, name: 'a' },
    ])
  })

  it('that does not exist is refused with a typed error', async () => {
    await using folder = await migrationFolder({})
    const error = await rejection(migrateUp({ connectionString, migrationsDir: `${folder.dir}/absent` }))
    expect(error).toMatchObject({ code: expect.stringMatching(/^(MIGRATION_HISTORY|INVALID_INPUT)$/) })
  })

  it('with a migration that fails leaves the version before it, and names the migration', async () => {
    await using folder = await migrationFolder({
      ...first,
      '002_b.up.sql': 'CREATE TABLE b (); SELECT 1 / 0',
      '002_b.down.sql': '',
    })
    const error = await rejection(migrateUp({ connectionString, migrationsDir: folder.dir }))
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      message: expect.stringContaining('up 2 (b)'),
      cause: { sqlState: '22012' },
    })
    expect(await migrationStatus({ connectionString, migrationsDir: folder.dir })).toMatchObject({
      version: 1,
      dirty: false,
    })
    expect(await database.sql(`SELECT to_regclass('b') AS b`)).toEqual([{ b: null }])
  })
})

describe('options of migrations', () => {
  it.each([
    ['steps', 0],
    ['steps', -1],
    ['steps', 1.5],
    ['lockTimeoutMs', 0],
    ['lockTimeoutMs', Number.NaN],
    ['allowDataLoss', 'yes'],
  ])('%s: %j is refused', async (field, value) => {
    const error = await rejection(migrateUp({ connectionString, [field]: value }))
    expect(error).toMatchObject({ code: 'INVALID_INPUT', field, value })
  })

  it('that do not exist are refused with the likely one', async () => {
    const error = await rejection(migrateUp({ connectionString, ...{ step: 1 } }))
    expect(error).toMatchObject({ code: 'UNKNOWN_OPTION', hint: expect.stringContaining('steps') })
  })
})

describe('F45: Store.open', () => {
  it('refuses a database without a schema, and one that is not migrated far enough', async () => {
    expect(await rejection(Store.open({ connectionString }))).toMatchObject({
      code: 'NOT_MIGRATED',
      hint: expect.stringContaining('tripwire-storage migrate up'),
    })
    const newest = await newestVersion()
    await migrateUp({ connectionString, steps: newest - 1 })
    expect(await rejection(Store.open({ connectionString }))).toMatchObject({
      code: 'NOT_MIGRATED',
      message: expect.stringMatching(new RegExp(`${newest - 1}.*${newest}`)),
    })
  })

  it('refuses a newer schema that broke with this version, and names both versions', async () => {
    await migrateUp({ connectionString })
    const newest = await newestVersion()
    await setVersion(newest + 3)
    await database.sql(`UPDATE schema_compatibility SET breaking_version = ${newest + 2}`)
    expect(await rejection(Store.open({ connectionString }))).toMatchObject({
      code: 'SCHEMA_TOO_NEW',
      message: expect.stringMatching(new RegExp(`${newest + 3}.*${newest + 2}.*${newest}`)),
    })
  })

  it('accepts a newer schema that is compatible', async () => {
    await migrateUp({ connectionString })
    await setVersion((await newestVersion()) + 3)
    await using store = await openStore(database)
    expect(await store.listHosts()).toEqual([])
  })

  it('refuses a version mark without the tables', async () => {
    await migrateUp({ connectionString })
    await database.sql('DROP TABLE schema_compatibility')
    expect(await rejection(Store.open({ connectionString }))).toMatchObject({ code: 'NOT_MIGRATED' })
  })
})
