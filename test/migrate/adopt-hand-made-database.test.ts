import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { migrateUp, migrationStatus, planMigrateUp, Store } from '../../src/index.ts'
import { runCli } from '../cli/run-cli.ts'
import { openStore, rejection } from '../store/fixtures.ts'
import { withSettings } from '../support/session-settings.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  HAND_MADE_CHANGES,
  HAND_MADE_EXTRAS,
  HAND_MADE_TABLES,
  makeDatabase,
  rememberRows,
} from './databases-from-elsewhere.ts'
import { describeSchema, emptySchema, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const fresh = useTestDatabase()
const { connectionString } = database
beforeEach(() => emptySchema(database))
beforeAll(() =>
  fresh.sql(`SELECT ensure_alert_partition('2026-03-05Z'), ensure_alert_partition('2026-04-05Z')`),
)

const sorted = (items: readonly string[]) => [...items].sort()

/** Ours, with what the hand-made tables have beyond it. */
async function expectedSchema(): Promise<readonly string[]> {
  const changes = new Map(HAND_MADE_CHANGES)
  const ours = (await describeSchema(fresh)).map(item => changes.get(item) ?? item)
  return sorted([...ours, ...HAND_MADE_EXTRAS])
}

describe('a database that was made by hand', () => {
  it('is adopted under our names, with the rows as they were', async () => {
    await makeDatabase(database, HAND_MADE_TABLES)
    const rows = await rememberRows(database)
    const applied = await migrateUp({ connectionString })
    expect(applied.map(({ version, name, wasAdopted }) => [version, name, wasAdopted]).slice(0, 5)).toEqual([
      [1, 'hosts', true],
      [2, 'alerts', true],
      [3, 'rules', true],
      [4, 'audit', true],
      [5, 'alert_keys', false],
    ])
    expect(applied).toHaveLength(await newestVersion())
    expect(await rows.now()).toEqual(rows.atFirst)
    expect(sorted(await describeSchema(database))).toEqual(await expectedSchema())
    await using store = await openStore(database)
    expect(await store.listHosts()).toHaveLength(3)
  })

  it.each([1, 2, 3])('is adopted when it has the first %i tables, and gets the others', async count => {
    await makeDatabase(database, HAND_MADE_TABLES.slice(0, count))
    const rows = await rememberRows(database, count)
    const applied = await migrateUp({ connectionString })
    expect(applied.filter(each => each.wasAdopted).map(each => each.version)).toEqual(
      [1, 2, 3].slice(0, count),
    )
    expect(applied).toHaveLength(await newestVersion())
    expect(await rows.now()).toEqual(rows.atFirst)
    await (await Store.open({ connectionString })).close()
  })

  it('is adopted beside the steps that were asked for, and is whole after each', async () => {
    await makeDatabase(database, HAND_MADE_TABLES)
    const rows = await rememberRows(database)
    const first = await migrateUp({ connectionString, steps: 1 })
    expect(first.map(each => each.version)).toEqual([1, 2, 3, 4, 5])
    expect(await migrationStatus({ connectionString })).toMatchObject({ version: 5, unrecorded: null })
    expect((await migrateUp({ connectionString, steps: 1 })).map(each => each.version)).toEqual([6])
    await migrateUp({ connectionString })
    expect(await rows.now()).toEqual(rows.atFirst)
    expect(sorted(await describeSchema(database))).toEqual(await expectedSchema())
  })

  it('in another schema is adopted there, whatever stands in public', async () => {
    await makeDatabase(database, HAND_MADE_TABLES)
    await database.sql(
      'DROP SCHEMA IF EXISTS other CASCADE; ALTER SCHEMA public RENAME TO other; CREATE SCHEMA public',
    )
    await database.sql('CREATE TABLE hosts (something_else TEXT NOT NULL)')
    const other = withSettings(database, { search_path: 'other' })
    const rows = await rememberRows(database, 4, 'other')
    const applied = await migrateUp(other)
    expect(applied.filter(each => each.wasAdopted)).toHaveLength(4)
    expect(await rows.now()).toEqual(rows.atFirst)
    expect(await describeSchema(database)).toEqual(['column hosts.something_else text not null'])
    await (await Store.open(other)).close()
    await database.sql('DROP SCHEMA other CASCADE')
  })
})

describe('before anything is done to a database that was made by hand', () => {
  it('the status says what stands there, and so does the refusal of a store', async () => {
    await makeDatabase(database, HAND_MADE_TABLES)
    expect(await migrationStatus({ connectionString })).toMatchObject({
      version: 0,
      dirty: false,
      unrecorded: { version: 4, differences: [] },
    })
    expect(await rejection(Store.open({ connectionString }))).toMatchObject({
      code: 'NOT_MIGRATED',
      message: 'no migration is recorded in the database',
      hint: expect.stringContaining('migrate up'),
    })
    const { stdout } = await runCli(connectionString, ['migrate', 'status'])
    expect(stdout).toContain('tables of version 4 stand there without a record: migrate up will adopt them')
    expect(stdout).toMatch(/4 +audit +not recorded\n5 +alert_keys +missing/)
  })

  it('the plan holds everything that migrateUp would do, and running it does it', async () => {
    await makeDatabase(database, HAND_MADE_TABLES)
    const before = await describeSchema(database)
    const rows = await rememberRows(database)
    const plan = (await runCli(connectionString, ['migrate', 'up', '--dry-run'])).stdout
    expect(plan).toBe(await planMigrateUp({ connectionString }))
    expect(plan).toContain('-- takes over what stands there as: 1 hosts, 2 alerts, 3 rules, 4 audit')
    expect(plan).not.toContain('-- 4 audit')
    expect(await describeSchema(database)).toEqual(before)

    const isConcurrent = (text: string) => /^CREATE .*INDEX CONCURRENTLY/.test(text)
    // Two months with rows, and one of the indexes of 005 is there.
    expect(plan.split('\n').filter(isConcurrent)).toHaveLength(2 * 4 + 2 * 12)
    for (const piece of plan.split(/((?:CREATE (?:UNIQUE )?INDEX CONCURRENTLY .*\n)+)/)) {
      for (const sql of isConcurrent(piece) ? piece.trim().split('\n') : [piece]) await database.sql(sql)
    }
    expect(await rows.now()).toEqual(rows.atFirst)
    expect(sorted(await describeSchema(database))).toEqual(await expectedSchema())
    expect(await migrateUp({ connectionString })).toEqual([])
  })
})

describe('the command', () => {
  it('says what it adopted', async () => {
    await makeDatabase(database, HAND_MADE_TABLES)
    const { stdout, exitCode } = await runCli(connectionString, ['migrate', 'up'])
    expect(exitCode).toBe(0)
    expect(stdout).toContain('adopted 4 audit: its tables stood there already\napplied 5 alert_keys (')
    await emptySchema(database)
    await makeDatabase(database, HAND_MADE_TABLES)
    const json = (await runCli(connectionString, ['migrate', 'up', '--json'])).stdout
    const lines = json
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines.slice(3, 5)).toMatchObject([
      { version: 4, wasAdopted: true },
      { version: 5, wasAdopted: false },
    ])
  })
})
