import { planAlertQuery } from '../../src/alerts/query/query-alerts.ts'
import type { AlertQuery } from '../../src/index.ts'
import { Store } from '../../src/index.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { Output } from '../support/output.ts'
import { median } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import { explain } from './explain.ts'
import { type FilledMonths, RARE_RULE, RARE_TYPE } from './fill-months.ts'

const PAGE_SIZE = 100
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The present month has no index of details. */
export const LONGEST_QUERY_MS = 600_000

interface Choice {
  readonly name: string
  readonly filter: Partial<AlertQuery>
}

export interface PageFigures {
  readonly filter: string
  readonly alerts: number
  readonly buffers: number
  /** Of `queryAlerts`, the rows parsed. */
  readonly medianMs: number
}

/** The newest page for every combination of filters, and for some that find little or nothing. */
export async function measurePages(
  database: BenchDatabase,
  filled: FilledMonths,
  rounds: number,
  output: Output,
): Promise<readonly PageFigures[]> {
  await using store = await Store.open({
    connectionString: database.connectionString,
    maintenanceIntervalMs: 0,
    queryTimeoutMs: LONGEST_QUERY_MS,
  })
  const startedAt = performance.now()
  const { indexed, failures } = await store.indexAlertDetails()
  if (failures.length > 0) throw failures[0]?.error ?? new Error('an index of details is missing')
  const indexSeconds = ((performance.now() - startedAt) / 1000).toFixed(0)
  output.progress(`the details of ${indexed.length} months were indexed within ${indexSeconds} s`)
  const figures: PageFigures[] = []
  for (const { name, filter } of [...combinations(filled), ...rareChoices(filled)]) {
    const query: AlertQuery = { ...filter, limit: PAGE_SIZE }
    const first = await store.queryAlerts(query)
    const { buffers } = await explain(database.client, planAlertQuery(query))
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      const startedAt = performance.now()
      await store.queryAlerts(query)
      times.push(performance.now() - startedAt)
    }
    figures.push({ filter: name, alerts: first.alerts.length, buffers, medianMs: median(times) })
  }
  output.progress(`${figures.length} pages were read`)
  return figures
}

/** With one of each kind of filter, or without it. */
function combinations({ hostIds }: FilledMonths): readonly Choice[] {
  const none = { name: '', filter: {} }
  const [hostId = '', ...others] = hostIds
  const kinds: readonly (readonly Choice[])[] = [
    [
      none,
      { name: 'host', filter: { hostId } },
      { name: '3 hosts', filter: { hostId: [hostId, ...others.slice(0, 2)] } },
    ],
    [
      none,
      { name: 'CRITICAL', filter: { severity: 'CRITICAL' } },
      { name: 'WARN or CRITICAL', filter: { severity: ['WARN', 'CRITICAL'] } },
    ],
    [none, { name: 'type', filter: { tripwireType: 'FILE' } }],
    [none, { name: 'rule', filter: { ruleName: 'rule-7' } }],
    [none, { name: 'detail', filter: { detail: { uid: 1007 } } }],
  ]
  return kinds.reduce<readonly Choice[]>(
    (before, kind) => before.flatMap(each => kind.map(choice => join(each, choice))),
    [none],
  )
}

function rareChoices({ hostIds, months }: FilledMonths): readonly Choice[] {
  const [hostId = ''] = hostIds
  const absent = Array.from({ length: 40 }, (_, number) => `00000000-0000-4000-8000-0000000000${10 + number}`)
  const middle = Date.parse(months[Math.floor(months.length / 2)]?.from ?? '') + 10 * DAY_MS
  const sensed = (ms: number) => ({ timestampFrom: new Date(middle), timestampTo: new Date(middle + ms) })
  return [
    { name: 'a rule of 1 in 100,000', filter: { ruleName: RARE_RULE } },
    { name: 'a rule that there is not', filter: { ruleName: 'absent' } },
    { name: 'a type of 1 in 100,000', filter: { tripwireType: RARE_TYPE } },
    { name: 'WARN, type of 1 in 100,000', filter: { severity: 'WARN', tripwireType: RARE_TYPE } },
    { name: 'a host that has none', filter: { hostId: absent[0] } },
    { name: '40 hosts that have none', filter: { hostId: absent } },
    { name: '40 hosts', filter: { hostId: hostIds.slice(0, 40) } },
    { name: 'all hosts, in a list', filter: { hostId: hostIds } },
    { name: '40 hosts, rule of 1 in 100,000', filter: { hostId: hostIds.slice(0, 40), ruleName: RARE_RULE } },
    { name: "an hour of the sensors' clocks", filter: sensed(HOUR_MS) },
    { name: "a week of the sensors' clocks", filter: sensed(7 * DAY_MS) },
    { name: "an hour of the sensors' clocks, host", filter: { ...sensed(HOUR_MS), hostId } },
    { name: 'a detail that there is not', filter: { detail: { uid: -1 } } },
    { name: 'the same in closed months', filter: { detail: { uid: -1 }, to: months.at(-1)?.from } },
    { name: 'host, detail that there is not', filter: { hostId, detail: { uid: -1 } } },
    { name: 'CRITICAL, rule that there is not', filter: { severity: 'CRITICAL', ruleName: 'absent' } },
  ]
}

function join(one: Choice, other: Choice): Choice {
  return {
    name: [one.name, other.name].filter(name => name !== '').join(', '),
    filter: { ...one.filter, ...other.filter },
  }
}

export function formatPages(figures: readonly PageFigures[], rounds: number): string {
  const table = formatTable(figures, [
    { title: 'newest 100 by', value: row => row.filter || 'nothing', align: 'left' },
    { title: 'alerts', value: row => String(row.alerts) },
    { title: 'buffers', value: row => grouped(row.buffers) },
    { title: 'ms', value: row => fixed(row.medianMs, 2) },
  ])
  return `queryAlerts, median of ${rounds} calls; buffers of one more\n${table}\n`
}
