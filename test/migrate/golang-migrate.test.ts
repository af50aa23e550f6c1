import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import { isRetryable, migrateDown, migrateUp, Store } from '../../src/index.ts'
import { MIGRATIONS_DIR } from '../../src/migrate/migration-files.ts'
import { migrationLockKey } from '../../src/migrate/migration-lock.ts'
import { rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { describeSchema, emptySchema, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const { connectionString } = database
beforeEach(() => emptySchema(database))

/** CRC-32 (IEEE 802.3), bit by bit. */
function crc32Bitwise(text: string): number {
  let crc = 0xffff_ffff
  for (const byte of Buffer.from(text)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1
  }
  return (crc ^ 0xffff_ffff) >>> 0
}

const lockKey = (schema: string, table: string, name: string) =>
  Math.imul(crc32Bitwise(`${schema}\0${table}\0${name}`), 1_486_364_155) >>> 0

describe("golang-migrate's advisory lock", () => {
  it('has the same key', () => {
    expect(crc32Bitwise('123456789')).toBe(0xcbf4_3926)
    for (const [schema, table, name] of [
      ['public', 'schema_migrations', 'tripwire'],
      ['other', 'schema_migrations', 'tripwire'],
      ['public', 'schema_migrations', 'Überwachung 日本'],
    ] as const) {
      expect(migrationLockKey(schema, table, name)).toBe(lockKey(schema, table, name))
    }
  })

  it('makes migrateUp wait, and end in MIGRATION_LOCKED', async () => {
    const holder = new pg.Client({ connectionString: database.directConnectionString })
    await holder.connect()
    await holder.query('SELECT pg_advisory_lock($1)', [lockKey('public', 'schema_migrations', database.name)])
    try {
      const error = await rejection(migrateUp({ connectionString, lockTimeoutMs: 50 }))
      expect(error).toMatchObject({ code: 'MIGRATION_LOCKED' })
      expect(isRetryable(error)).toBe(true)
      expect(await describeSchema(database)).toEqual([])
      // That of the first one, if a pooler kept it, bears the same name.
      await database.renewPooledConnections()
      const waiting = migrateUp({ connectionString, steps: 1 })
      await expect.poll(() => migratorSessions(), { timeout: 20_000 }).toHaveLength(1)
      await holder.query('SELECT pg_advisory_unlock_all()')
      expect(await waiting).toHaveLength(1)
    } finally {
      await holder.end()
    }
  })
})

async function migratorSessions(): Promise<readonly Record<string, unknown>[]> {
  return database.sql(
    `SELECT pid FROM pg_stat_activity WHERE datname = '${database.name}' AND application_name = 'tripwire-storage migrate'`,
  )
}

describe("golang-migrate's table", () => {
  it('has its shape and one row', async () => {
    await migrateUp({ connectionString })
    const columns = await database.sql(
      `SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'schema_migrations' ORDER BY ordinal_position`,
    )
    expect(columns).toEqual([
      { column_name: 'version', data_type: 'bigint', is_nullable: 'NO' },
      { column_name: 'dirty', data_type: 'boolean', is_nullable: 'NO' },
    ])
    expect(await database.sql('SELECT version, dirty FROM schema_migrations')).toEqual([
      { version: String(await newestVersion()), dirty: false },
    ])
    const keys = await database.sql(
      `SELECT pg_get_constraintdef(oid) AS key FROM pg_constraint WHERE conrelid = 'schema_migrations'::regclass AND contype = 'p'`,
    )
    expect(keys).toEqual([{ key: 'PRIMARY KEY (version)' }])
  })
})

describe("golang-migrate's way of running files", () => {
  it('gives the same schema: each file in one simple query, up, down and up', async () => {
    await migrateUp({ connectionString })
    const expected = (await describeSchema(database)).filter(item => !item.includes('schema_migrations'))
    await emptySchema(database)
    const files = (await readdir(MIGRATIONS_DIR)).sort()
    const up = files.filter(file => file.endsWith('.up.sql'))
    const down = files.filter(file => file.endsWith('.down.sql')).toReversed()
    expect(up).toHaveLength(await newestVersion())
    for (const file of [...up, ...down, ...up]) {
      await database.sql(await readFile(join(MIGRATIONS_DIR, file), 'utf8'))
    }
    expect(await describeSchema(database)).toEqual(expected)
  })

  it('undoes a file that fails at its end as a whole', async () => {
    await database.sql(await readFile(join(MIGRATIONS_DIR, '001_hosts.up.sql'), 'utf8'))
    const sql = await readFile(join(MIGRATIONS_DIR, '002_alerts.up.sql'), 'utf8')
    const before = await describeSchema(database)
    await expect(database.sql(`${sql}\nSELECT 1 / 0`)).rejects.toMatchObject({ code: '22012' })
    expect(await describeSchema(database)).toEqual(before)
  })

  it('may have brought the database half of the way: ours continues and can be undone', async () => {
    await database.sql(
      'CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)',
    )
    for (const file of ['001_hosts.up.sql', '002_alerts.up.sql']) {
      await database.sql(await readFile(join(MIGRATIONS_DIR, file), 'utf8'))
    }
    await database.sql('INSERT INTO schema_migrations VALUES (2, false)')
    const applied = await migrateUp({ connectionString })
    expect(applied[0]?.version).toBe(3)
    await (await Store.open({ connectionString })).close()
    await migrateDown({ connectionString, steps: await newestVersion() })
    expect(await database.sql('SELECT FROM schema_migrations')).toEqual([])
  })
})
