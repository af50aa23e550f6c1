import pg from 'pg'
import { planAlertQuery } from '../../../src/alerts/query/query-alerts.ts'
import type { AlertQuery } from '../../../src/index.ts'
import type { SqlValue } from '../../../src/pg/database.ts'

/** How the values come to the server: a generic plan is one that knows none of them. */
export const PLAN_MODES = ['literals', 'force_custom_plan', 'force_generic_plan'] as const
export type PlanMode = (typeof PLAN_MODES)[number]

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Loops': number
  readonly 'Actual Rows': number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly PlanNode[]
}

export interface ExplainedPage {
  readonly rows: number
  /** Pages of 8 KiB that were looked at. */
  readonly buffers: number
  /** What was looked into, each once: `Seq Scan alerts_y2026m02`, `Index Scan alerts_y2026m02_stored_once`. */
  readonly scans: readonly string[]
}

/** Runs the statement of a page, and says what it took. */
export async function explainPage(
  client: pg.Client,
  query: AlertQuery,
  mode: PlanMode = 'force_custom_plan',
): Promise<ExplainedPage> {
  const { sql, values } = planAlertQuery(query)
  await client.query('DEALLOCATE ALL')
  if (mode !== 'literals') {
    await client.query(`SET plan_cache_mode = ${mode}`)
    await client.query(`PREPARE page AS ${sql}`)
  }
  const literals = values.map(literalOf)
  const statement =
    mode === 'literals'
      ? sql.replace(/\$(\d+)/g, (_, number: string) => literals[Number(number) - 1] ?? '')
      : `EXECUTE page (${literals.join(', ')})`
  const { rows } = await client.query<{ 'QUERY PLAN': readonly { Plan: PlanNode }[] }>(
    `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${statement}`,
  )
  const plan = rows[0]?.['QUERY PLAN'][0]?.Plan
  if (!plan) throw new Error('the server explained nothing')
  const scans = nodesOf(plan)
    .filter(node => node['Node Type'].includes('Scan') && node['Actual Loops'] > 0)
    .map(node => `${node['Node Type']} ${node['Index Name'] ?? node['Relation Name'] ?? ''}`)
  return {
    rows: plan['Actual Rows'],
    buffers: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
    scans: [...new Set(scans)],
  }
}

function nodesOf(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)]
}

function literalOf(value: SqlValue): string {
  return pg.escapeLiteral(Array.isArray(value) ? `{${value.join(',')}}` : String(value))
}
