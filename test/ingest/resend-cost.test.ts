import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newHost, openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'

const database = useTestDatabase()
const ROWS_OF_A_MONTH = 20_000
const ROWS_OF_A_LIST = 200
let client: pg.Client
let hostId: string

/** All of one host: an index that begins with the host would read the whole month for each row. */
const INSERT = `
  INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, severity, received_at)
  SELECT gen_random_uuid(), $1, $2, 'FILE', 'rule', 'INFO', $2::timestamptz + n * INTERVAL '1 second'
  FROM generate_series(1, $3::integer) AS n`

const READ_ACCESSES = `
  SELECT seq_tup_read::integer AS scanned, coalesce(idx_tup_fetch, 0)::integer AS fetched
  FROM pg_stat_xact_user_tables
  WHERE relname = $1`

/** What an insert reads of another month, in rows. */
async function readByInsert(
  receivedAt: string,
  otherMonth: string,
): Promise<{ scanned: number; fetched: number }> {
  await client.query('BEGIN')
  await client.query(INSERT, [hostId, receivedAt, ROWS_OF_A_LIST])
  const { rows } = await client.query<{ scanned: number; fetched: number }>(READ_ACCESSES, [otherMonth])
  await client.query('ROLLBACK')
  return rows[0] ?? { scanned: Number.NaN, fetched: Number.NaN }
}

beforeAll(async () => {
  await using store = await openStore(database)
  hostId = await newHost(store)
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  for (const month of ['2026-02', '2026-03', '2026-04']) {
    await client.query('SELECT ensure_alert_partition($1)', [`${month}-01Z`])
    // Statistics come when the test says so.
    await client.query(`ALTER TABLE alerts_y${month.replace('-', 'm')} SET (autovacuum_enabled = off)`)
    await client.query(INSERT, [hostId, `${month}-12T00:00:00Z`, ROWS_OF_A_MONTH])
  }
})
afterAll(() => client.end())

describe('the look for resends in the neighbouring month', () => {
  it.each([
    ['in the first week, with no statistics', '2026-03-02T00:00:00Z', 'alerts_y2026m02', false],
    ['in the last week, with no statistics', '2026-03-30T00:00:00Z', 'alerts_y2026m04', false],
    ['in the first week, with statistics', '2026-03-02T00:00:00Z', 'alerts_y2026m02', true],
    ['in the last week, with statistics', '2026-03-30T00:00:00Z', 'alerts_y2026m04', true],
  ])(
    '%s reads none of its alerts: it asks the unique index',
    async (_, receivedAt, otherMonth, isAnalyzed) => {
      if (isAnalyzed) await client.query('ANALYZE alerts')
      expect(await readByInsert(receivedAt, otherMonth)).toEqual({ scanned: 0, fetched: 0 })
    },
  )
})
