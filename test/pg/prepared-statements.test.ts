import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Database } from '../../src/pg/database.ts'
import { useTestDatabase } from '../support/test-database.ts'

/** Where a pooler stands between, nothing is prepared: see test/pgbouncer/prepared-statements.test.ts. */
const { directConnectionString, sql } = useTestDatabase('empty')
const READ = 'SELECT * FROM things WHERE id = $1'
const REPEATED = { isRepeated: true }
let db: Database

const open = (preparedStatements: boolean) =>
  new Database({
    connectionString: directConnectionString,
    maxConnections: 1,
    connectTimeoutMs: 10_000,
    applicationName: 'preparer',
    preparedStatements,
  })

/** Of the only connection of the pool. */
const prepared = async () =>
  (await db.query<{ statement: string }>('SELECT statement FROM pg_prepared_statements')).rows

beforeEach(async () => {
  await sql('DROP TABLE IF EXISTS things')
  await sql(`CREATE TABLE things AS SELECT 1 AS id, 'one' AS name`)
  db = open(true)
})
afterEach(() => db.close())

describe('a statement that is repeated', () => {
  it('is prepared once, and others are not', async () => {
    for (let times = 0; times < 3; times++) {
      expect((await db.query(READ, [1], REPEATED)).rows).toEqual([{ id: 1, name: 'one' }])
      await db.query('SELECT $1::integer', [times])
    }
    expect(await prepared()).toEqual([{ statement: READ }])
  })

  it('is prepared within the limits of a call, too', async () => {
    const limited = db.withLimits({ timeoutMs: 10_000 })
    expect((await limited.query(READ, [1], REPEATED)).rowCount).toBe(1)
    expect(await prepared()).toEqual([{ statement: READ }])
  })

  it('is not prepared where that is turned off', async () => {
    await db.close()
    db = open(false)
    expect((await db.query(READ, [1], REPEATED)).rowCount).toBe(1)
    expect(await prepared()).toEqual([])
  })

  it('goes on after its table was changed', async () => {
    await db.query(READ, [1], REPEATED)
    await sql('ALTER TABLE things ADD COLUMN colour TEXT')
    for (let times = 0; times < 2; times++) {
      expect((await db.query(READ, [1], REPEATED)).rows).toEqual([{ id: 1, name: 'one', colour: null }])
    }
  })

  it('fails as any other, with the error of the server', async () => {
    await expect(db.query(READ, ['no number'], REPEATED)).rejects.toMatchObject({ sqlState: '22P02' })
    await expect(db.query('SELECT FROM absent', [], REPEATED)).rejects.toMatchObject({ sqlState: '42P01' })
    expect((await db.query(READ, [1], REPEATED)).rowCount).toBe(1)
  })
})
