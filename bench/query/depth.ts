import { planAlertQuery } from '../../src/alerts/query/query-alerts.ts'
import { type AlertQuery, Store } from '../../src/index.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { Output } from '../support/output.ts'
import { median } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import { explain } from './explain.ts'
import type { FilledMonths } from './fill-months.ts'
import { LONGEST_QUERY_MS } from './pages.ts'

const PAGE_SIZE = 100
const DEEP_PAGE = 10_000
/** The way to the deep page goes in larger steps: a cursor does not say how many it is to give. */
const STEP = 10_000

export interface DepthFigures {
  readonly page: string
  readonly buffers: number
  readonly medianMs: number
}

/** A page far down, by cursor and by OFFSET, beside the first one. */
export async function measureDepth(
  database: BenchDatabase,
  { hostIds: [hostId = ''] }: FilledMonths,
  { alerts, rounds }: { readonly alerts: number; readonly rounds: number },
  output: Output,
): Promise<readonly DepthFigures[]> {
  await using store = await Store.open({
    connectionString: database.connectionString,
    maintenanceIntervalMs: 0,
    queryTimeoutMs: LONGEST_QUERY_MS,
  })
  const figures: DepthFigures[] = []
  for (const [of, filter, share] of [
    ['all', {}, 1],
    ['one host', { hostId }, 0.005],
  ] as const) {
    const page = Math.min(DEEP_PAGE, Math.floor((alerts * share * 0.8) / PAGE_SIZE))
    const before = (page - 1) * PAGE_SIZE
    const cursor = await cursorAfter(store, filter, before)
    output.progress(`walked down to page ${grouped(page)} of ${of}`)
    const queries: readonly (readonly [string, AlertQuery])[] = [
      [`${of}, page 1`, { ...filter, limit: PAGE_SIZE }],
      [`${of}, page ${grouped(page)} by cursor`, { ...filter, limit: PAGE_SIZE, cursor }],
      [`${of}, page ${grouped(page)} by OFFSET`, { ...filter, limit: PAGE_SIZE, offset: before }],
    ]
    for (const [name, query] of queries)
      figures.push(await measureQuery(database, store, name, query, rounds))
  }
  return figures
}

async function cursorAfter(store: Store, filter: AlertQuery, alerts: number): Promise<string> {
  let cursor: string | null = null
  for (let left = alerts; left > 0; left -= STEP) {
    const limit = Math.min(STEP, left)
    const query: AlertQuery = cursor === null ? { ...filter, limit } : { ...filter, limit, cursor }
    const page = await store.queryAlerts(query)
    cursor = page.nextCursor
  }
  if (cursor === null) throw new Error('there are fewer alerts than that')
  return cursor
}

async function measureQuery(
  database: BenchDatabase,
  store: Store,
  page: string,
  query: AlertQuery,
  rounds: number,
): Promise<DepthFigures> {
  await store.queryAlerts(query)
  const { buffers } = await explain(database.client, planAlertQuery(query))
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now()
    await store.queryAlerts(query)
    times.push(performance.now() - startedAt)
  }
  return { page, buffers, medianMs: median(times) }
}

export function formatDepth(figures: readonly DepthFigures[]): string {
  const table = formatTable(figures, [
    { title: 'pages of 100, newest first', value: row => row.page, align: 'left' },
    { title: 'buffers', value: row => grouped(row.buffers) },
    { title: 'ms', value: row => fixed(row.medianMs, 2) },
  ])
  return `${table}\n`
}
