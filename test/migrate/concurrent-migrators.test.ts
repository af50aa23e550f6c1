import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it } from 'vitest'
import { migrateUp, migrationStatus } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { emptySchema, migrationFolder, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const { connectionString } = database
beforeEach(() => emptySchema(database))

const FIXTURE = fileURLToPath(new URL('migrate.fixture.ts', import.meta.url))

function startMigrator(migrationsDir = ''): ChildProcess {
  return spawn(process.execPath, [FIXTURE, connectionString, migrationsDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function outputOf(child: ChildProcess): Promise<readonly number[]> {
  if (!child.stdout) throw new Error('the migrator has no output')
  const [output, [exitCode]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  expect(exitCode).toBe(0)
  const versions: readonly number[] = JSON.parse(output)
  return versions
}

describe('F44: eight migrators at once', () => {
  it('in one process apply each migration once', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => migrateUp({ connectionString })))
    const versions = answers.flat().map(each => each.version)
    const newest = await newestVersion()
    expect(versions.sort((a, b) => a - b)).toEqual(Array.from({ length: newest }, (_, index) => index + 1))
    expect(await migrationStatus({ connectionString })).toMatchObject({ version: newest, dirty: false })
  })

  it('in eight processes apply each migration once', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => outputOf(startMigrator())))
    const newest = await newestVersion()
    expect(answers.flat().sort((a, b) => a - b)).toEqual(
      Array.from({ length: newest }, (_, index) => index + 1),
    )
    expect(await migrationStatus({ connectionString })).toMatchObject({ version: newest, dirty: false })
  }, 60_000)
})

describe('F44: a migrator that is killed half way', () => {
  it('leaves the version before, not dirty, and a rerun finishes', async () => {
    const files = {
      '001_a.up.sql': 'CREATE TABLE a ()',
      '001_a.down.sql': 'DROP TABLE a',
      '002_b.up.sql': 'CREATE TABLE b (); SELECT pg_sleep(600)',
      '002_b.down.sql': 'DROP TABLE b',
    }
    await using slow = await migrationFolder(files)
    await using quick = await migrationFolder({ ...files, '002_b.up.sql': 'CREATE TABLE b ()' })
    const child = startMigrator(slow.dir)
    const exited = once(child, 'exit')
    try {
      await expect.poll(() => sleepers(), { timeout: 20_000 }).toHaveLength(1)
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    expect(await migrationStatus({ connectionString, migrationsDir: quick.dir })).toMatchObject({
      version: 1,
      dirty: false,
    })
    // The server notices the dead client when it writes to it; an operator would not wait for that.
    for (const { pid } of await sleepers()) await database.sql(`SELECT pg_terminate_backend(${pid})`)
    const applied = await migrateUp({ connectionString, migrationsDir: quick.dir })
    expect(applied.map(each => each.version)).toEqual([2])
    expect(await migrationStatus({ connectionString, migrationsDir: quick.dir })).toMatchObject({
      version: 2,
    })
  })
})

async function sleepers(): Promise<readonly Record<string, unknown>[]> {
  return database.sql(
    `SELECT pid FROM pg_stat_activity WHERE datname = '${database.name}' AND wait_event = 'PgSleep'`,
  )
}
