/** Of a list, the planner takes each host for one of average frequency. Where there is one host, that is the frequency of all alerts. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AlertQuery } from '../../../src/index.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { explainPage } from './explain-page.ts'
import { hostOf } from './many-alerts.ts'

const database = useTestDatabase()
const MONTH = '2025-10-01T00:00:00Z'
let client: pg.Client

beforeAll(async () => {
  await database.sql(`
    SELECT ensure_alert_partition('${MONTH}');
    SET session_replication_role = replica;
    INSERT INTO alerts
    SELECT gen_random_uuid(), '${hostOf(0)}', moment, 'FILE', 'the only rule', NULL, 'INFO', moment
    FROM generate_series('${MONTH}'::timestamptz, '${MONTH}'::timestamptz + INTERVAL '27 days', '1 minute') AS moment`)
  // Without a VACUUM, as in the month that is being written: each alert in an index makes the server look at its row.
  await database.sql('ANALYZE alerts')
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
})
afterAll(() => client.end())

const silentHosts = Array.from({ length: 40 }, (_, index) => hostOf(900 + index))
const silentRules = Array.from({ length: 40 }, (_, index) => `no such rule ${index}`)

describe('where there is one host, and one rule', () => {
  it.each<readonly [string, AlertQuery, number]>([
    ['silent hosts', { hostId: silentHosts }, 0],
    ['silent hosts and the one that is not', { hostId: [...silentHosts, hostOf(0)] }, 101],
    ['rules that nobody has', { ruleName: silentRules }, 0],
    ['rules that nobody has and the one that is there', { ruleName: [...silentRules, 'the only rule'] }, 101],
  ])('%s are found without reading all alerts', async (_, query, found) => {
    for (const order of ['newest', 'oldest'] as const) {
      const { rows, buffers } = await explainPage(client, { ...query, order, limit: 100 })
      expect(rows).toBe(found)
      // 41 ways into two months, and a page; all alerts would be 38,880.
      expect(buffers).toBeLessThan(1500)
    }
  })
})
