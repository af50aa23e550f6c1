/** Pages begin with the newest month, and look into the next one only when they are not full. */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { AlertQuery } from '../../../src/index.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { explainPage } from './explain-page.ts'
import { hostOf } from './many-alerts.ts'

const database = useTestDatabase()
const MONTHS = 36
const HOSTS = 200
let client: pg.Client

beforeAll(async () => {
  await database.sql(`
    SELECT ensure_alert_partition('2022-01-15Z'::timestamptz + n * INTERVAL '1 month')
    FROM generate_series(0, ${MONTHS - 1}) AS n`)
  await database.sql(`
    SET session_replication_role = replica;
    INSERT INTO alerts
    SELECT
      gen_random_uuid(),
      ('00000000-0000-4000-8000-' || lpad((n / ${MONTHS} % ${HOSTS})::text, 12, '0'))::uuid,
      moment, 'FILE', 'rule-' || n / ${MONTHS} % 40, NULL, 'INFO', moment
    FROM generate_series(0, ${MONTHS} * 6000 - 1) AS n
    CROSS JOIN LATERAL (
      SELECT '2022-01-02Z'::timestamptz + n % ${MONTHS} * INTERVAL '1 month' + n / ${MONTHS} * INTERVAL '5 minutes' AS moment
    ) AS made`)
  await database.sql('VACUUM (ANALYZE) alerts')
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
}, 120_000)
afterAll(() => client.end())

const hostsOf = (count: number) => Array.from({ length: count }, (_, number) => hostOf(number))

it.each<readonly [string, AlertQuery, number]>([
  ['a host', { hostId: hostOf(1) }, 50],
  ['three hosts', { hostId: hostsOf(3) }, 200],
  ['forty hosts', { hostId: hostsOf(40) }, 600],
  ['all hosts, in a list', { hostId: hostsOf(HOSTS) }, 2000],
  ['twenty rules', { ruleName: Array.from({ length: 20 }, (_, number) => `rule-${number}`) }, 500],
])(`the newest page of %s is read from few of ${MONTHS} months`, async (_, query, most) => {
  for (const order of ['newest', 'oldest'] as const) {
    const { rows, buffers } = await explainPage(client, { ...query, order, limit: 20 })
    expect(rows).toBe(21)
    expect(buffers).toBeLessThan(most)
  }
})
