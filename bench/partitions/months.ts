import { setTimeout as sleep } from 'node:timers/promises'
import { Store } from '../../src/index.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { Output } from '../support/output.ts'
import { median, quantile } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import { INSERTS, paceInserts } from './calls.ts'
import type { MonthRows } from './month-rows.ts'
import type { PartitionsOptions } from './options.ts'
import { latencyMs, runPacedLoad, type Sample } from './paced-load.ts'

/** A month is made in a moment, so the same rows come in smaller lists, of which more meet it. */
const LIST_SIZE = 25
const LISTS_FACTOR = 4
const MADE_AT_ONCE = 12
const MOST_AHEAD = 120
const PAUSE_MS = 1000
const WARM_UP_MS = 3000

interface Window {
  readonly from: number
  readonly to: number
}

/** A piece of work beside the load. Returns when it was at work, in `performance.now()`. */
interface Work {
  readonly name: string
  prepare(monthRows: MonthRows, months: number): Promise<unknown>
  run(store: Store, months: number): Promise<readonly Window[]>
}

const WORKS: readonly Work[] = [
  {
    name: `${MADE_AT_ONCE} months made at once`,
    prepare: monthRows => monthRows.prepare(0),
    run: async store => {
      const windows: Window[] = []
      for (let ahead = MADE_AT_ONCE; ahead <= MOST_AHEAD; ahead += MADE_AT_ONCE) {
        await sleep(PAUSE_MS)
        windows.push(
          await within(async () => {
            const made = await store.ensurePartitions({ monthsAhead: ahead })
            requireCount(made.filter(month => month.made).length, MADE_AT_ONCE, 'months made')
          }),
        )
      }
      await sleep(PAUSE_MS)
      return windows
    },
  },
  {
    name: 'months made by hand completed',
    prepare: (monthRows, months) => monthRows.prepareByHand(months),
    run: async (store, months) => {
      await sleep(PAUSE_MS)
      const window = await within(async () => {
        const { completed, failures } = await store.runMaintenance()
        if (failures[0]) throw failures[0].error
        requireCount(completed.length, months, 'months completed')
      })
      await sleep(PAUSE_MS)
      return [window]
    },
  },
]

async function within(work: () => Promise<void>): Promise<Window> {
  const from = performance.now()
  await work()
  return { from, to: performance.now() }
}

function requireCount(found: number, expected: number, what: string): void {
  if (found !== expected) throw new Error(`${found} instead of ${expected} ${what}`)
}

interface Latencies {
  readonly calls: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface MonthsFigures {
  readonly work: string
  /** How long one such piece of work took. */
  readonly seconds: number
  /** Inserts that met it, of all rounds together. */
  readonly during: Latencies
  /** Those of the same runs that did not. */
  readonly without: Latencies
}

interface Measured {
  readonly seconds: number[]
  readonly during: number[]
  readonly without: number[]
}

/** The latency of inserts while months are made, and while months that were made by hand get their unique index. */
export async function measureMonths(
  database: BenchDatabase,
  monthRows: MonthRows,
  options: PartitionsOptions,
  output: Output,
): Promise<readonly MonthsFigures[]> {
  const measured = WORKS.map((): Measured => ({ seconds: [], during: [], without: [] }))
  for (let round = 1; round <= options.rounds; round++) {
    for (const [index, work] of WORKS.entries()) {
      const { windows, samples } = await measureWork(database, monthRows, options, work)
      const meets = ({ dueAt, doneAt }: Sample) => windows.some(({ from, to }) => dueAt < to && doneAt > from)
      measured[index]?.seconds.push(...windows.map(({ from, to }) => (to - from) / 1000))
      measured[index]?.during.push(...samples.filter(meets).map(latencyMs))
      measured[index]?.without.push(...samples.filter(sample => !meets(sample)).map(latencyMs))
      output.progress(`round ${round} of ${options.rounds}: ${work.name}`)
    }
  }
  return WORKS.map(({ name }, index) => {
    const { seconds = [], during = [], without = [] } = measured[index] ?? {}
    return {
      work: name,
      seconds: median(seconds),
      during: summarise(during),
      without: summarise(without),
    }
  })
}

async function measureWork(
  database: BenchDatabase,
  monthRows: MonthRows,
  { months, listsPerSecond }: PartitionsOptions,
  work: Work,
): Promise<{ readonly windows: readonly Window[]; readonly samples: readonly Sample[] }> {
  const { connectionString, hostIds } = database
  await work.prepare(monthRows, months)
  await using store = await Store.open({ connectionString, maintenanceIntervalMs: 0, monthsAhead: 0 })
  const inserts = paceInserts(store, hostIds, {
    perSecond: listsPerSecond * LISTS_FACTOR,
    listSize: LIST_SIZE,
  })
  let windows: readonly Window[] = []
  const load = await runPacedLoad([inserts], WARM_UP_MS, async () => {
    windows = await work.run(store, months)
  })
  return { windows, samples: load.samples.get(INSERTS) ?? [] }
}

function summarise(latencies: readonly number[]): Latencies {
  return {
    calls: latencies.length,
    p50Ms: median(latencies),
    p99Ms: quantile(latencies, 0.99),
    maxMs: Math.max(...latencies),
  }
}

export function formatMonths(
  figures: readonly MonthsFigures[],
  { listsPerSecond, months, rows, rounds }: PartitionsOptions,
): string {
  const lines = figures.flatMap(({ work, seconds, during, without }) => [
    { what: `${work}: inserts that met it`, seconds, ...during, times: during.p99Ms / without.p99Ms },
    { what: 'inserts between', seconds: Number.NaN, ...without, times: 1 },
  ])
  const table = formatTable(lines, [
    { title: 'latency', value: row => row.what, align: 'left' },
    { title: 'calls', value: row => grouped(row.calls) },
    { title: 'p50 ms', value: row => fixed(row.p50Ms, 2) },
    { title: 'p99 ms', value: row => fixed(row.p99Ms, 2) },
    { title: 'highest ms', value: row => fixed(row.maxMs, 1) },
    { title: 'p99 × between', value: row => fixed(row.times, 2) },
    { title: 'seconds', value: row => fixed(row.seconds, 2) },
  ])
  return [
    `Latency of ${listsPerSecond * LISTS_FACTOR} lists of ${LIST_SIZE} a second while months are made, and while ${months} of ${grouped(rows)} alerts are completed,`,
    `all ${rounds} rounds together`,
    table,
  ].join('\n')
}
