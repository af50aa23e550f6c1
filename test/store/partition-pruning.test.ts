import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planAlertQuery } from '../../src/alerts/query/query-alerts.ts'
import type { AlertQuery } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { newAlerts, newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()
const MONTHS = ['2025-11', '2025-12', '2026-01', '2026-02', '2026-03', '2026-04']
let client: pg.Client

beforeAll(async () => {
  await using store = await openStore(database)
  const hostId = await newHost(store)
  for (const month of MONTHS) {
    await store.insertAlerts(newAlerts(20, hostId, { receivedAt: `${month}-15T00:00:00Z` }))
  }
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  await client.query('ANALYZE')
})
afterAll(() => client.end())

interface PlanNode {
  readonly 'Relation Name'?: string
  readonly 'Subplans Removed'?: number
  readonly Plans?: readonly PlanNode[]
}

interface Explained {
  readonly tables: readonly string[]
  readonly subplansRemoved: number
}

async function explain(
  query: AlertQuery,
  mode: 'literals' | 'force_custom_plan' | 'force_generic_plan',
): Promise<Explained> {
  const { rows } = await client.query<{ 'QUERY PLAN': readonly { Plan: PlanNode }[] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${await statementOf(query, mode)}`,
  )
  const nodes = rows[0]?.['QUERY PLAN'].flatMap(each => flatten(each.Plan)) ?? []
  return {
    tables: nodes.flatMap(node => node['Relation Name'] ?? []).sort(),
    subplansRemoved: nodes.reduce((sum, node) => sum + (node['Subplans Removed'] ?? 0), 0),
  }
}

/** The query with literals in the place of its parameters, or as a prepared statement. */
async function statementOf(
  query: AlertQuery,
  mode: 'literals' | 'force_custom_plan' | 'force_generic_plan',
): Promise<string> {
  const { sql, values } = planAlertQuery(query)
  const literals = values.map(value => pg.escapeLiteral(String(value)))
  if (mode === 'literals') {
    return sql.replace(/\$(\d+)/g, (_, number: string) => literals[Number(number) - 1] ?? '')
  }
  await client.query(`SET plan_cache_mode = ${mode}`)
  await client.query('DEALLOCATE ALL')
  await client.query(`PREPARE page AS ${sql}`)
  return `EXECUTE page (${literals.join(', ')})`
}

function flatten(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)]
}

/** The month that it is now has a partition, too. */
async function partitionCount(): Promise<number> {
  const rows = await database.sql(`SELECT FROM pg_inherits WHERE inhparent = 'alerts'::regclass`)
  return rows.length
}

const hostId = '00000000-0000-4000-8000-000000000001'
const filters: readonly (readonly [string, Partial<AlertQuery>])[] = [
  ['without a filter', {}],
  ['of a host', { hostId }],
  ['of a severity', { severity: 'CRITICAL' }],
  ['of a host and a severity', { hostId, severity: 'WARN' }],
]

describe.each(filters)('a query %s', (_, filter) => {
  it('reads only the months that are asked for', async () => {
    const oneMonth = { ...filter, from: '2026-02-03T00:00:00Z', to: '2026-02-20T00:00:00Z' }
    expect(await explain(oneMonth, 'force_custom_plan')).toEqual({
      tables: ['alerts_y2026m02'],
      subplansRemoved: 0,
    })
    const overAnEdge = { ...filter, from: '2025-12-31T23:00:00Z', to: '2026-01-01T00:00:00.000001Z' }
    expect((await explain(overAnEdge, 'force_custom_plan')).tables).toEqual([
      'alerts_y2025m12',
      'alerts_y2026m01',
    ])
  })

  it('does not read the month that begins where the span ends', async () => {
    const whole = { ...filter, from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:00Z' }
    expect((await explain(whole, 'force_custom_plan')).tables).toEqual(['alerts_y2026m01'])
  })

  it('reads only those months with literals, too', async () => {
    const oneMonth = { ...filter, from: '2026-02-03T00:00:00Z', to: '2026-02-20T00:00:00Z' }
    expect((await explain(oneMonth, 'literals')).tables).toEqual(['alerts_y2026m02'])
  })

  it('reads only those months with a generic plan, too', async () => {
    const oneMonth = { ...filter, from: '2026-02-03T00:00:00Z', to: '2026-02-20T00:00:00Z' }
    expect(await explain(oneMonth, 'force_generic_plan')).toEqual({
      tables: ['alerts_y2026m02'],
      subplansRemoved: (await partitionCount()) - 1,
    })
  })
})
