import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AlertFilter, parseAlertFilter } from '../../../src/alerts/query/alert-filter.ts'
import { planTailRead } from '../../../src/alerts/tail/read-tail-alerts.ts'
import type { AlertPlace } from '../../../src/alerts/tail/tail-position.ts'
import { connectClient } from '../../partitions/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'

const database = useTestDatabase()
const HOST = '00000000-0000-4000-8000-000000000001'
const BATCHES = 40
const BATCH_SIZE = 1000

type Client = Awaited<ReturnType<typeof connectClient>>
let client: Client
let spans: { oldest: string; newest: string; xmins: string }[]

beforeAll(async () => {
  client = await connectClient(database.directConnectionString)
  await client.query('SELECT ensure_alert_partitions(3)')
  await client.query(`INSERT INTO hosts (host_id, hostname) VALUES ('${HOST}', 'h')`)
  for (let batch = 0; batch < BATCHES; batch++) {
    await client.query(`
      INSERT INTO alerts
      SELECT gen_random_uuid(), '${HOST}', now(), 'FILE', 'r', NULL, CASE WHEN n % 100 = 0 THEN 'CRITICAL' ELSE 'INFO' END::severity_level, now()
      FROM generate_series(1, ${BATCH_SIZE}) AS n`)
  }
  await client.query('ANALYZE alerts')
  const { rows } = await client.query(`
    SELECT
      (oldest AT TIME ZONE 'UTC')::text AS oldest,
      (newest AT TIME ZONE 'UTC')::text AS newest,
      ARRAY[xmin]::text AS xmins
    FROM alert_journal
    ORDER BY xid
    LIMIT 2`)
  spans = rows
})
afterAll(() => client.end())

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Cond'?: string
  readonly 'Actual Loops': number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly PlanNode[]
}

async function explain(filter: AlertFilter, after: AlertPlace | undefined, mode: string): Promise<PlanNode> {
  const { sql, values } = planTailRead(spans, after, filter)
  await client.query('BEGIN')
  try {
    await client.query(`SET LOCAL plan_cache_mode = '${mode}'`)
    const { rows } = await client.query({
      name: `tail_${mode}_${sql.length}_${values.length}`,
      text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`,
      values: [...values],
    })
    return rows[0]['QUERY PLAN'][0].Plan
  } finally {
    await client.query('ROLLBACK')
  }
}

function nodesOf(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)]
}

const MIDDLE = '80000000-0000-4000-8000-000000000000'

describe.each(['force_custom_plan', 'force_generic_plan'])('the alerts of a transaction, with %s', mode => {
  it.each([
    ['without a filter', {}, false],
    ['from the midst of it', {}, true],
    ['of a host', { hostId: HOST }, false],
    ['of a rare severity', { severity: 'CRITICAL' }, true],
    [
      'of everything',
      { hostId: [HOST, MIDDLE], severity: ['WARN', 'CRITICAL'], ruleName: 'r', detail: {} },
      false,
    ],
  ])('are found %s by received_at, in their partition alone', async (_, filter, isPartial) => {
    const after = isPartial
      ? { receivedAt: spans[0]?.oldest ?? '', alertId: MIDDLE, hostId: MIDDLE }
      : undefined
    const plan = await explain(parseAlertFilter('filter', filter), after, mode)
    const scans = nodesOf(plan).filter(
      node => node['Relation Name'] !== undefined && node['Actual Loops'] > 0,
    )
    expect(new Set(scans.map(node => node['Relation Name'])).size).toBe(1)
    const conditions = nodesOf(plan)
      .filter(node => node['Actual Loops'] > 0)
      .flatMap(node => node['Index Cond'] ?? [])
    expect(conditions.join(' ')).toContain('received_at >=')
    // Of 40 batches those of two.
    const buffers = plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
    expect(buffers).toBeLessThan(2.5 * BATCH_SIZE)
  })
})
