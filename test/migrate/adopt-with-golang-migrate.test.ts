import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { beforeAll, beforeEach, expect, it } from 'vitest'
import { MIGRATIONS_DIR } from '../../src/migrate/migration-files.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  GO_EXTRAS,
  GO_TABLES,
  makeDatabase,
  RECORD_VERSION_4,
  rememberRows,
} from './databases-from-elsewhere.ts'
import { describeSchema, emptySchema, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const fresh = useTestDatabase()
const PAGE = new URL('../../docs/operations/adopt-a-database.md', import.meta.url)

beforeAll(() =>
  fresh.sql(`SELECT ensure_alert_partition('2026-03-05Z'), ensure_alert_partition('2026-04-05Z')`),
)
beforeEach(async () => {
  await emptySchema(database)
  await makeDatabase(database, [...GO_TABLES, RECORD_VERSION_4])
})

/** What the page for operators says to run before. */
async function statementsOfThePage(): Promise<readonly string[]> {
  const page = await readFile(PAGE, 'utf8')
  const [, sql] = /```sql\n(SELECT format\('CREATE[^`]+)```/.exec(page) ?? []
  if (sql === undefined) throw new Error('the page has no such statement')
  return (await database.sql(sql)).map(row => String(row['format']))
}

/** As golang-migrate does it: each file in one simple query. */
async function runFiles(connectionString: string, pick: (file: string) => boolean): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    for (const file of (await readdir(MIGRATIONS_DIR)).filter(name => name.endsWith('.up.sql')).sort()) {
      if (pick(file)) await client.query(await readFile(join(MIGRATIONS_DIR, file), 'utf8'))
    }
  } finally {
    await client.end()
  }
}

const filesOfIndexes = (pattern: string) =>
  database.sql(
    `SELECT relname, pg_relation_filenode(oid) AS file FROM pg_class WHERE relkind = 'i' AND relname ~ '${pattern}' ORDER BY 1`,
  )

it('golang-migrate takes over the indexes that the statements of the page build', async () => {
  const rows = await rememberRows(database)
  const statements = await statementsOfThePage()
  expect(statements).toHaveLength(3 * 17)
  for (const statement of statements) await database.sql(statement)
  // 005 takes over five of each month, of which 012 drops four.
  const pattern =
    '^alerts_y.*(stored_once|seve_idx|tripw_idx|tripwire_type_idx1?|host_id__idx|alert_id_host_id_idx1?|host_id_timestamp_idx)$'
  const built = await filesOfIndexes(pattern)
  expect(built).toHaveLength(3 * 13)

  await runFiles(database.directConnectionString, file => file > '005')
  await database.sql(`UPDATE schema_migrations SET version = ${await newestVersion()}`)
  expect(await filesOfIndexes(pattern)).toEqual(built)
  expect(await rows.now()).toEqual(rows.atFirst)
  expect([...(await describeSchema(database))].sort()).toEqual(
    [...(await describeSchema(fresh)), ...GO_EXTRAS].sort(),
  )
})

it('golang-migrate leaves out the unique index of a month that the URL names', async () => {
  const [{ oid } = {}] = await database.sql(`SELECT 'alerts_y2026m03'::regclass::oid::text AS oid`)
  const settings = `lock_timeout=1000&options=-ctripwire.months_with_duplicates%3D1,${oid}`
  await runFiles(`${database.directConnectionString}?${settings}`, file => file.startsWith('005'))
  expect((await filesOfIndexes('stored_once')).map(row => row['relname'])).toEqual([
    'alerts_y2026m02_stored_once',
    'alerts_y2026m04_stored_once',
  ])
})
