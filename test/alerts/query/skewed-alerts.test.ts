/** Where all alerts are received long after they were sensed, as from an import, they are found by the clock of the sensor as well. */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type AlertQuery, Store } from '../../../src/index.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { explainPage } from './explain-page.ts'
import { hostOf } from './many-alerts.ts'

const database = useTestDatabase()
let client: pg.Client
let store: Store

beforeAll(async () => {
  await database.sql(`
    SELECT ensure_alert_partition('2025-10-15Z');
    SET session_replication_role = replica;
    INSERT INTO alerts
    SELECT
      gen_random_uuid(),
      ('00000000-0000-4000-8000-' || lpad((n % 50)::text, 12, '0'))::uuid,
      '2025-09-01Z'::timestamptz + n * INTERVAL '40 seconds',
      'FILE', 'rule', NULL, 'INFO',
      '2025-10-01Z'::timestamptz + n * INTERVAL '40 seconds'
    FROM generate_series(1, 60000) AS n`)
  await database.sql('VACUUM (ANALYZE) alerts')
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  store = await Store.open({ connectionString: database.connectionString, maintenanceIntervalMs: 0 })
}, 120_000)
afterAll(async () => {
  await client.end()
  await store.close()
})

it.each<readonly [string, AlertQuery, number]>([
  ['all time', { timestampFrom: '2022-01-01T00:00:00Z' }, 101],
  ['a week', { timestampFrom: '2025-09-08T00:00:00Z', timestampTo: '2025-09-15T00:00:00Z' }, 101],
  ['ten minutes', { timestampFrom: '2025-09-08T00:00:00Z', timestampTo: '2025-09-08T00:10:00Z' }, 15],
  ['all time, of a host', { timestampFrom: '2022-01-01T00:00:00Z', hostId: hostOf(7) }, 101],
])('the newest of %s', async (_, query, found) => {
  const first = await explainPage(client, { ...query, limit: 100 })
  expect(first.rows).toBe(found)
  // All of them would be 1,400, without the rows.
  expect(first.buffers).toBeLessThan(400)
})

it('a walk costs the same at any depth', async () => {
  const query = { timestampFrom: '2022-01-01T00:00:00Z', limit: 100 } as const
  const { nextCursor } = await store.queryAlerts({ ...query, offset: 50_000 })
  const first = await explainPage(client, query)
  const last = await explainPage(client, { ...query, cursor: nextCursor })
  expect(last.rows).toBe(101)
  expect(last.buffers).toBeLessThanOrEqual(first.buffers * 1.1 + 16)
})
