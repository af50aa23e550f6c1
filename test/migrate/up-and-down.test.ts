import { beforeEach, describe, expect, it } from 'vitest'
import { migrateDown, migrateUp, migrationStatus, planMigrateUp } from '../../src/index.ts'
import { readMigrations } from '../../src/migrate/migration-files.ts'
import { rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { describeSchema, emptySchema, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const { connectionString } = database
beforeEach(() => emptySchema(database))

const versions = async () => database.sql('SELECT version::int AS version, dirty FROM schema_migrations')

describe('migrateUp', () => {
  it('applies every migration to an empty database, in order, and nothing the second time', async () => {
    const files = await readMigrations()
    const applied = await migrateUp({ connectionString })
    expect(applied.map(({ version, name }) => [version, name])).toEqual(
      files.map(({ version, name }) => [version, name]),
    )
    expect(files.map(file => file.name)).toEqual(
      expect.arrayContaining(['hosts', 'alerts', 'rules', 'audit']),
    )
    const tables = await database.sql(
      `SELECT relname AS name FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace`,
    )
    expect(tables.map(row => row['name'])).toEqual(
      expect.arrayContaining(['hosts', 'alerts', 'alerts_y2026m02', 'tripwire_rules', 'audit_entries']),
    )
    expect(await migrateUp({ connectionString })).toEqual([])
    expect(await versions()).toEqual([{ version: files.length, dirty: false }])
  })

  it('applies as many as asked for', async () => {
    expect((await migrateUp({ connectionString, steps: 2 })).map(each => each.version)).toEqual([1, 2])
    expect((await migrateUp({ connectionString, steps: 1 })).map(each => each.version)).toEqual([3])
    expect(await versions()).toEqual([{ version: 3, dirty: false }])
  })

  it('gives the same schema in single steps and after a way down and up', async () => {
    await migrateUp({ connectionString })
    const atOnce = await describeSchema(database)
    expect(atOnce.length).toBeGreaterThan(50)
    const newest = await newestVersion()
    await migrateDown({ connectionString, steps: newest })
    expect((await describeSchema(database)).filter(item => !item.includes('schema_migrations'))).toEqual([])
    expect(await versions()).toEqual([])
    for (let step = 1; step <= newest; step++) await migrateUp({ connectionString, steps: 1 })
    expect(await describeSchema(database)).toEqual(atOnce)
  })

  it('gives the same schema however far down the way went', async () => {
    await migrateUp({ connectionString })
    await database.sql(`SELECT ensure_alert_partition('2026-04-01T00:00:00Z')`)
    const before = await describeSchema(database)
    for (let steps = 1; steps <= (await newestVersion()) - 2; steps++) {
      await migrateDown({ connectionString, steps })
      await migrateUp({ connectionString })
      expect(await describeSchema(database), `${steps} down and up`).toEqual(before)
    }
  })
})

describe('migrationStatus', () => {
  it('tells the version and which migrations were applied, without changing anything', async () => {
    const newest = await newestVersion()
    const empty = await migrationStatus({ connectionString })
    expect(empty).toMatchObject({ version: 0, dirty: false })
    expect(empty.migrations.map(each => each.applied)).toEqual(Array.from({ length: newest }, () => false))
    expect(await describeSchema(database)).toEqual([])
    await migrateUp({ connectionString, steps: 3 })
    const status = await migrationStatus({ connectionString })
    expect(status.version).toBe(3)
    expect(status.migrations.filter(each => each.applied).map(each => each.version)).toEqual([1, 2, 3])
  })
})

describe('migrateDown', () => {
  it('needs the number of steps', async () => {
    const options = { connectionString } as unknown as Parameters<typeof migrateDown>[0]
    expect(await rejection(migrateDown(options))).toMatchObject({ code: 'INVALID_INPUT', field: 'steps' })
  })

  it('undoes as many as asked for, newest first, and stops at the bottom', async () => {
    await migrateUp({ connectionString, steps: 4 })
    expect((await migrateDown({ connectionString, steps: 2 })).map(each => each.version)).toEqual([4, 3])
    expect(await versions()).toEqual([{ version: 2, dirty: false }])
    expect((await migrateDown({ connectionString, steps: 99 })).map(each => each.version)).toEqual([2, 1])
    expect(await migrateDown({ connectionString, steps: 1 })).toEqual([])
  })

  it.each(['hosts', 'alerts', 'tripwire_rules', 'audit_entries'])(
    'refuses to drop the rows of %s unless told so',
    async table => {
      await migrateUp({ connectionString, steps: 4 })
      await database.sql(`INSERT INTO hosts (host_id, hostname) VALUES (gen_random_uuid(), 'h')`)
      if (table === 'alerts')
        await database.sql(
          `INSERT INTO alerts SELECT gen_random_uuid(), host_id, now(), 'FILE', 'r', NULL, 'INFO', '2026-02-02' FROM hosts`,
        )
      if (table === 'tripwire_rules')
        await database.sql(`INSERT INTO tripwire_rules (rule_type, target) VALUES ('FILE', '/')`)
      if (table === 'audit_entries')
        await database.sql(
          `INSERT INTO audit_entries (host_id, sequence_num, event_hash) SELECT host_id, 1, repeat('a', 64) FROM hosts`,
        )
      const version = { hosts: 1, alerts: 2, tripwire_rules: 3, audit_entries: 4 }[table] ?? 0
      const error = await rejection(migrateDown({ connectionString, steps: 4 }))
      expect(error).toMatchObject({
        code: 'MIGRATION_FAILED',
        message: expect.stringContaining(table),
        hint: expect.stringContaining('--allow-data-loss'),
      })
      expect(await versions()).toEqual([{ version, dirty: false }])
      expect(await database.sql(`SELECT FROM ${table}`)).toHaveLength(1)
      await migrateDown({ connectionString, steps: version, allowDataLoss: true })
      expect(await versions()).toEqual([])
    },
  )
})

describe('planMigrateUp', () => {
  it.each([0, 3])('returns SQL that does from version %i what migrateUp would do', async from => {
    await migrateUp({ connectionString })
    const expected = await describeSchema(database)
    await emptySchema(database)
    if (from > 0) await migrateUp({ connectionString, steps: from })
    const before = await describeSchema(database)
    const sql = await planMigrateUp({ connectionString })
    expect(await describeSchema(database)).toEqual(before)
    await database.sql(sql)
    expect(await describeSchema(database)).toEqual(expected)
    expect(await versions()).toEqual([{ version: await newestVersion(), dirty: false }])
    expect(await planMigrateUp({ connectionString })).toBe('')
  })

  it('holds as many steps as asked for', async () => {
    const sql = await planMigrateUp({ connectionString, steps: 2 })
    expect(sql).toContain('-- 2 alerts')
    expect(sql).not.toContain('-- 3 rules')
  })
})
