import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { buildIndexConcurrently } from '../../src/pg/build-index.ts'
import { Database } from '../../src/pg/database.ts'
import { rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { waitForHeldUpBuild } from './index-progress.ts'

const database = useTestDatabase('empty')
const db = new Database({
  connectionString: database.connectionString,
  maxConnections: 4,
  connectTimeoutMs: 10_000,
  applicationName: 'index builder',
})
afterAll(() => db.close())

const FIXTURE = fileURLToPath(new URL('build-index.fixture.ts', import.meta.url))
const INDEX = { name: 'Odd "name"', table: 'Odd "table"', columns: 'a, b', isUnique: true }

beforeEach(async () => {
  await database.sql('DROP SCHEMA public CASCADE')
  await database.sql('CREATE SCHEMA public')
  await database.sql('CREATE TABLE "Odd ""table""" (a INTEGER, b INTEGER, c TEXT)')
  await fill('generate_series(1, 100) AS n', 'n, n')
})

const fill = (from: string, values: string) =>
  database.sql(`INSERT INTO "Odd ""table""" SELECT ${values} FROM ${from}`)

const indexes = async () =>
  (
    await database.sql(
      `SELECT pg_get_indexdef(indexrelid) AS sql, indisvalid FROM pg_index WHERE indrelid = '"Odd ""table"""'::regclass`,
    )
  ).map(row => (row['indisvalid'] ? row['sql'] : `invalid: ${row['sql']}`))

const DEFINITION = 'CREATE UNIQUE INDEX "Odd ""name""" ON public."Odd ""table""" USING btree (a, b)'

/** A session that holds up a build for as long as its transaction is open. */
async function openWriter(): Promise<pg.Client> {
  const writer = new pg.Client({ connectionString: database.directConnectionString })
  await writer.connect()
  await writer.query('BEGIN')
  await writer.query('INSERT INTO "Odd ""table""" VALUES (1000, 1000)')
  return writer
}

describe('buildIndexConcurrently', () => {
  it('builds once, and finds it present afterwards', async () => {
    expect(await buildIndexConcurrently(db, INDEX)).toBe('built')
    expect(await indexes()).toEqual([DEFINITION])
    expect(await buildIndexConcurrently(db, INDEX)).toBe('present')
    expect(await indexes()).toEqual([DEFINITION])
  })

  it('builds partial indexes, in another schema too', async () => {
    await database.sql('CREATE SCHEMA IF NOT EXISTS "The other"')
    await database.sql('CREATE TABLE IF NOT EXISTS "The other".t (a INTEGER, c TEXT)')
    const index = {
      name: 'partial',
      table: 't',
      schema: 'The other',
      columns: 'a',
      isUnique: false,
      where: `c = 'x'`,
    }
    expect(await buildIndexConcurrently(db, index)).toBe('built')
    expect(await buildIndexConcurrently(db, index)).toBe('present')
    expect(await database.sql(`SELECT indexdef FROM pg_indexes WHERE schemaname = 'The other'`)).toEqual([
      { indexdef: `CREATE INDEX partial ON "The other".t USING btree (a) WHERE (c = 'x'::text)` },
    ])
  })

  it('leaves nothing behind where rows stand twice', async () => {
    await fill('generate_series(7, 7) AS n', 'n, n')
    expect(await buildIndexConcurrently(db, INDEX)).toBe('duplicates')
    expect(await indexes()).toEqual([])
  })

  it.each([
    ['a table', 'CREATE TABLE "Odd ""name""" ()'],
    ['an index of another table', 'CREATE TABLE t (a INTEGER); CREATE INDEX "Odd ""name""" ON t (a)'],
    ['an index on other columns', 'CREATE UNIQUE INDEX "Odd ""name""" ON "Odd ""table""" (b, a)'],
    ['an index that is not unique', 'CREATE INDEX "Odd ""name""" ON "Odd ""table""" (a, b)'],
    [
      'an index on a part of the rows',
      'CREATE UNIQUE INDEX "Odd ""name""" ON "Odd ""table""" (a, b) WHERE a > 0',
    ],
  ])('refuses a name that %s has', async (_, sql) => {
    await database.sql(sql)
    expect(await rejection(buildIndexConcurrently(db, INDEX))).toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining('Odd "name"'),
    })
  })

  it('refuses a table that does not exist', async () => {
    const error = await rejection(buildIndexConcurrently(db, { ...INDEX, table: 'absent' }))
    expect(error).toMatchObject({ code: 'QUERY_FAILED', sqlState: '42P01' })
  })

  it('replaces what a failed build left behind', async () => {
    await fill('generate_series(7, 7) AS n', 'n, n')
    await expect(
      database.sql('CREATE UNIQUE INDEX CONCURRENTLY "Odd ""name""" ON "Odd ""table""" (a, b)'),
    ).rejects.toMatchObject({ code: '23505' })
    expect(await indexes()).toEqual([`invalid: ${DEFINITION}`])
    expect(await buildIndexConcurrently(db, INDEX)).toBe('duplicates')
    await database.sql('DELETE FROM "Odd ""table""" WHERE a = 7')
    expect(await buildIndexConcurrently(db, INDEX)).toBe('built')
    expect(await indexes()).toEqual([DEFINITION])
  })

  it('finishes what a killed process and its killed session began', async () => {
    const writer = await openWriter()
    const child = spawn(process.execPath, [FIXTURE, database.connectionString, JSON.stringify(INDEX)])
    const exited = once(child, 'exit')
    try {
      await waitForHeldUpBuild(database)
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    // The server notices the dead client when it writes to it; an operator would not wait for that.
    await database.sql(
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '${database.name}' AND query LIKE 'CREATE UNIQUE INDEX%'`,
    )
    await writer.query('COMMIT')
    await writer.end()
    expect(await indexes()).toEqual([`invalid: ${DEFINITION}`])
    expect(await buildIndexConcurrently(db, INDEX)).toBe('built')
    expect(await indexes()).toEqual([DEFINITION])
  })

  it('is refused while another session builds on the table, also when that one waits for the caller', async () => {
    const { first } = await db.transaction(async transaction => {
      await transaction.runScript('INSERT INTO "Odd ""table""" VALUES (1000, 1000)')
      const building = buildIndexConcurrently(db, INDEX)
      await waitForHeldUpBuild(database)
      for (const name of [INDEX.name, 'another']) {
        expect(await rejection(buildIndexConcurrently(db, { ...INDEX, name }))).toMatchObject({
          code: 'QUERY_FAILED',
          sqlState: '55P03',
        })
      }
      return { first: building }
    })
    expect(await first).toBe('built')
    expect(await buildIndexConcurrently(db, INDEX)).toBe('present')
    expect(await indexes()).toEqual([DEFINITION])
  })

  it('may be called by many at once', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 4 }, () => buildIndexConcurrently(db, INDEX)),
    )
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ sqlState: '55P03' })
    }
    expect(outcomes).toContainEqual({ status: 'fulfilled', value: 'built' })
    expect(await indexes()).toEqual([DEFINITION])
  })

  it('lets writers go on while it waits', async () => {
    const writer = await openWriter()
    const building = buildIndexConcurrently(db, INDEX)
    await waitForHeldUpBuild(database)
    await fill('generate_series(2000, 2100) AS n', 'n, n')
    await writer.query('COMMIT')
    await writer.end()
    expect(await building).toBe('built')
  })
})
