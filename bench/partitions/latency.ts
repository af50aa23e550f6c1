import { Store } from '../../src/index.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { BenchServer } from '../support/bench-server.ts'
import type { Output } from '../support/output.ts'
import { mean, median, quantile } from '../support/statistics.ts'
import { fixed, formatTable } from '../support/table.ts'
import {
  type Beside,
  COPY_AND_GZIP,
  OTHER_PROCESS,
  SAME_PROCESS,
  WITHOUT,
  WITHOUT_AGAIN,
  withArchiveFolder,
} from './beside.ts'
import { CRITICAL_PAGES, HOST_PAGES, INSERTS, paceInserts, paceQueries } from './calls.ts'
import type { MonthRows } from './month-rows.ts'
import type { PartitionsOptions } from './options.ts'
import { type LoadReport, latencyMs, runPacedLoad } from './paced-load.ts'

export const LIST_SIZE = 100
/** Connections open, code is compiled, the first pages after the checkpoint are in the log. */
const WARM_UP_MS = 3000

/** What the load runs beside, in the order of a round. */
const ROUND: readonly Beside[] = [COPY_AND_GZIP, WITHOUT, OTHER_PROCESS, WITHOUT_AGAIN, SAME_PROCESS]
const ALONE: readonly Beside[] = [WITHOUT, WITHOUT_AGAIN]

interface Phase {
  readonly seconds: number
  readonly load: LoadReport
}

interface Spread {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

export interface LatencyFigures {
  readonly what: string
  readonly beside: string
  /** Of all rounds together. */
  readonly calls: number
  /** Medians of the rounds, but for the highest of all. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Of the p99 to the mean of the two without a retention in the same round. */
  readonly timesWithout: Spread
  /** How long the retention took, or the load alone was measured. */
  readonly seconds: number
  readonly eventLoopP99Ms: number
  readonly eventLoopMaxMs: number
}

/** The p50, p99 and highest latency of a load at a fixed rate, with and without a retention, in interleaved rounds. */
export async function measureLatency(
  server: BenchServer,
  database: BenchDatabase,
  monthRows: MonthRows,
  options: PartitionsOptions,
  output: Output,
): Promise<readonly LatencyFigures[]> {
  const phases = ROUND.map(() => [] as Phase[])
  for (let round = 1; round <= options.rounds; round++) {
    for (const [index, beside] of ROUND.entries()) {
      const phase = await measurePhase(server, database, monthRows, options, beside)
      phases[index]?.push(phase)
      const inserts = (phase.load.samples.get(INSERTS) ?? []).map(latencyMs)
      output.progress(
        `round ${round} of ${options.rounds}: ${beside.name}: insert p99 ${quantile(inserts, 0.99).toFixed(1)} ms in ${phase.seconds.toFixed(1)} s`,
      )
    }
  }
  const alone = ALONE.map(beside => phases[ROUND.indexOf(beside)] ?? [])
  return [INSERTS, HOST_PAGES, CRITICAL_PAGES].flatMap(what =>
    ROUND.map((beside, index) => summarise(what, beside.name, phases[index] ?? [], alone)),
  )
}

async function measurePhase(
  server: BenchServer,
  database: BenchDatabase,
  monthRows: MonthRows,
  { months: count, listsPerSecond, seconds }: PartitionsOptions,
  beside: Beside,
): Promise<Phase> {
  const { connectionString, hostIds } = database
  const months = await monthRows.prepare(count)
  await using store = await Store.open({ connectionString, maintenanceIntervalMs: 0 })
  const calls = [
    paceInserts(store, hostIds, { perSecond: listsPerSecond, listSize: LIST_SIZE }),
    ...paceQueries(store, hostIds, months[0]?.from ?? ''),
  ]
  let tookMs = 0
  const load = await withArchiveFolder(server.folder, folder =>
    runPacedLoad(calls, WARM_UP_MS, async () => {
      const startedAt = performance.now()
      await beside.run({ seconds, store, connectionString, folder, months, rowsPerMonth: monthRows.rows })
      tookMs = performance.now() - startedAt
    }),
  )
  const left = beside.takesOut ? 1 : count + 1
  await database.requireAlerts(left * monthRows.rows + store.stats().stored, beside.name)
  return { seconds: tookMs / 1000, load }
}

function summarise(
  what: string,
  beside: string,
  phases: readonly Phase[],
  alone: readonly (readonly Phase[])[],
): LatencyFigures {
  const latencies = ({ load }: Phase) => (load.samples.get(what) ?? []).map(latencyMs)
  const p99 = (phase: Phase) => quantile(latencies(phase), 0.99)
  const ratios = phases.map(
    (phase, round) => p99(phase) / mean(alone.flatMap(rounds => rounds.slice(round, round + 1)).map(p99)),
  )
  return {
    what,
    beside,
    calls: phases.reduce((sum, phase) => sum + latencies(phase).length, 0),
    p50Ms: median(phases.map(phase => median(latencies(phase)))),
    p99Ms: median(phases.map(p99)),
    maxMs: Math.max(...phases.flatMap(latencies)),
    timesWithout: { median: median(ratios), lowest: Math.min(...ratios), highest: Math.max(...ratios) },
    seconds: median(phases.map(({ seconds }) => seconds)),
    eventLoopP99Ms: median(phases.map(({ load }) => load.eventLoopDelayMs.p99)),
    eventLoopMaxMs: Math.max(...phases.map(({ load }) => load.eventLoopDelayMs.max)),
  }
}

export function formatLatency(
  figures: readonly LatencyFigures[],
  { listsPerSecond, months, rows, rounds }: PartitionsOptions,
): string {
  const table = formatTable(figures, [
    { title: 'latency', value: row => row.what, align: 'left' },
    { title: 'beside', value: row => row.beside, align: 'left' },
    { title: 'calls', value: row => String(row.calls) },
    { title: 'p50 ms', value: row => fixed(row.p50Ms, 2) },
    { title: 'p99 ms', value: row => fixed(row.p99Ms, 2) },
    { title: 'highest ms', value: row => fixed(row.maxMs, 1) },
    { title: 'p99 × without', value: row => fixed(row.timesWithout.median, 2) },
    {
      title: 'lowest–highest',
      value: ({ timesWithout: { lowest, highest } }) => `${fixed(lowest, 2)}–${fixed(highest, 2)}`,
    },
    { title: 'seconds', value: row => fixed(row.seconds, 1) },
    {
      title: 'event loop p99, highest ms',
      value: row => `${fixed(row.eventLoopP99Ms, 1)}, ${fixed(row.eventLoopMaxMs, 1)}`,
    },
  ])
  return [
    `Latency from the moment a call is due, ${listsPerSecond} lists of ${LIST_SIZE} a second and 40 pages,`,
    `while ${months} months of ${rows.toLocaleString('en-US')} alerts are taken out; median of ${rounds} interleaved rounds`,
    table,
  ].join('\n')
}
