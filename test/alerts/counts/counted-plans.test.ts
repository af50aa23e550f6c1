/** What a timeline reads. */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { listClosedPartitions } from '../../../src/alerts/counts/closed-partitions.ts'
import { countAlertsSql } from '../../../src/alerts/counts/exact-counts.ts'
import { runnerOfCaller } from '../../../src/pg/caller-client.ts'
import { insertHost, makeMonth } from '../../partitions/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { rollUpAll } from './counted-hours.ts'

const database = useTestDatabase()
const SPAN = { from: '2025-01-05T00:00:00.000000Z', to: '2025-02-04T00:00:00.000000Z' }
let client: pg.Client

beforeAll(async () => {
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  const hostId = await insertHost(database)
  for (const month of ['2024-12', '2025-01', '2025-02']) {
    await makeMonth(database, month, hostId, 0)
    await database.sql(`
      INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
      SELECT '${hostId}', now(), 'FILE', 'rule-' || n % 20, 'INFO', '${month}-01T00:00:00Z'::timestamptz + n * INTERVAL '5 minutes'
      FROM generate_series(0, 28 * 288 - 1) AS n`)
  }
  await rollUpAll(client)
  await database.sql('VACUUM ANALYZE')
})
afterAll(() => client.end())

interface PlanNode {
  readonly 'Relation Name'?: string
  readonly 'Actual Loops': number
  readonly 'Actual Rows': number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly PlanNode[]
}

async function explain(bucket: 'hour' | 'minute', mode: string) {
  const partitions = await listClosedPartitions(runnerOfCaller('client', client), SPAN.from, SPAN.to)
  const request = { ...SPAN, bucket, groupBy: 'severity', severities: null } as const
  const { sql, values } = countAlertsSql(request, partitions)
  await client.query(`DEALLOCATE ALL; SET plan_cache_mode = ${mode}`)
  await client.query(`PREPARE counted AS WITH ${sql} SELECT * FROM counted`)
  const { rows } = await client.query<{ 'QUERY PLAN': readonly { Plan: PlanNode }[] }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE counted (${values.map(value => `'${value}'`).join(', ')})`,
  )
  const [top] = rows[0]?.['QUERY PLAN'] ?? []
  if (!top) throw new Error('there is no plan')
  const read = flatten(top.Plan).filter(
    node => node['Relation Name']?.startsWith('alerts_y') && node['Actual Loops'] > 0,
  )
  return {
    tables: read.map(node => node['Relation Name']),
    rows: read.reduce((sum, node) => sum + node['Actual Loops'] * node['Actual Rows'], 0),
    buffers: top.Plan['Shared Hit Blocks'] + top.Plan['Shared Read Blocks'],
  }
}

/** With what the first time read of the catalogues in the cache of the session. */
async function explainAgain() {
  await explain('hour', 'force_custom_plan')
  return explain('hour', 'force_custom_plan')
}

function flatten(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)]
}

it.each(['force_custom_plan', 'force_generic_plan'])(
  '30 days of closed hours are summed, and no alert is read: %s',
  async mode => {
    expect(await explain('hour', mode)).toMatchObject({ tables: [], rows: 0 })
  },
)

it.each(['force_custom_plan', 'force_generic_plan'])(
  'of open hours the alerts are read, and of no other partition: %s',
  async mode => {
    await client.query(
      `SELECT reopen_alert_hours(ARRAY['2025-02-02 03:00+00', '2025-02-02 04:00+00']::timestamptz[])`,
    )
    expect(await explain('hour', mode)).toMatchObject({ tables: ['alerts_y2025m02'], rows: 24 })
    await rollUpAll(client)
  },
)

it('the sums cost the same, however many alerts there are', async () => {
  const before = await explainAgain()
  await client.query(`
    INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
    SELECT host_id, timestamp, tripwire_type, rule_name, severity, received_at
    FROM alerts
    CROSS JOIN generate_series(1, 2)
    WHERE received_at < '2025-02-04 00:00+00'`)
  await client.query('SELECT reopen_alert_hours(array_agg(hour)) FROM rolled_alert_hours')
  await rollUpAll(client)
  await client.query('VACUUM ANALYZE')
  const after = await explainAgain()
  expect(after).toMatchObject({ tables: [], rows: 0 })
  expect(after.buffers).toBeLessThan(before.buffers * 1.5)
})

it('minutes are counted from the alerts', async () => {
  expect(await explain('minute', 'force_custom_plan')).toMatchObject({
    tables: ['alerts_y2025m01', 'alerts_y2025m02'],
  })
})
