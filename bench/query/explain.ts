import type pg from 'pg'
import type { SqlValue } from '../../src/pg/database.ts'

/** What a statement took on the server. */
export interface Explained {
  /** Pages of 8 KiB that were looked at, in memory or not. */
  readonly buffers: number
  readonly executionMs: number
}

/** Runs a statement and says what it took. */
export async function explain(
  client: pg.Client,
  { sql, values }: { readonly sql: string; readonly values: readonly SqlValue[] },
): Promise<Explained> {
  const { rows } = await client.query<{ 'QUERY PLAN': unknown }>(
    `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${sql}`,
    [...values],
  )
  const found: unknown = rows[0]?.['QUERY PLAN']
  const explained: unknown = Array.isArray(found) ? found[0] : undefined
  if (typeof explained !== 'object' || explained === null || !('Plan' in explained)) {
    throw new Error('the server explained nothing')
  }
  const { Plan: plan } = explained
  return {
    buffers: numberOf(plan, 'Shared Hit Blocks') + numberOf(plan, 'Shared Read Blocks'),
    executionMs: numberOf(explained, 'Execution Time'),
  }
}

function numberOf(value: unknown, name: string): number {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  if (typeof found !== 'number') throw new Error(`the server told no ${name}`)
  return found
}
