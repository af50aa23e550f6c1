import { Store } from '../../src/index.ts'
import { LIST_SIZE, PRODUCERS, runProducers } from '../ingest/engine-runs.ts'
import { makeAlerts } from '../support/bench-alert.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { BenchServer } from '../support/bench-server.ts'
import type { Output } from '../support/output.ts'
import { mean, median } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import {
  type Beside,
  OTHER_PROCESS,
  SAME_PROCESS,
  WITHOUT,
  WITHOUT_AGAIN,
  withArchiveFolder,
} from './beside.ts'
import type { MonthRows } from './month-rows.ts'
import type { PartitionsOptions } from './options.ts'

/** At full speed a retention has little left of the machine: more would take too long. */
const MONTHS = 1
const ROUND: readonly Beside[] = [WITHOUT, OTHER_PROCESS, WITHOUT_AGAIN, SAME_PROCESS]
const ALONE: readonly Beside[] = [WITHOUT, WITHOUT_AGAIN]

interface Phase {
  readonly seconds: number
  readonly rowsPerSecond: number
}

export interface ThroughputFigures {
  readonly beside: string
  readonly rowsPerSecond: { readonly median: number; readonly lowest: number; readonly highest: number }
  /** Of the mean of the two without a retention in the same round; the median of the rounds. */
  readonly shareOfWithout: number
  /** How long the retention took, or the load alone was measured. */
  readonly seconds: number
}

/** Inserts as fast as they go, while a month is taken out and without. */
export async function measureThroughput(
  server: BenchServer,
  database: BenchDatabase,
  monthRows: MonthRows,
  { rounds, seconds }: PartitionsOptions,
  output: Output,
): Promise<readonly ThroughputFigures[]> {
  const phases = ROUND.map(() => [] as Phase[])
  for (let round = 1; round <= rounds; round++) {
    for (const [index, beside] of ROUND.entries()) {
      const phase = await measurePhase(server, database, monthRows, beside, seconds)
      phases[index]?.push(phase)
      output.progress(
        `round ${round} of ${rounds}: ${beside.name}: ${grouped(phase.rowsPerSecond)} rows/s in ${phase.seconds.toFixed(1)} s`,
      )
    }
  }
  const alone = ALONE.map(beside => phases[ROUND.indexOf(beside)] ?? [])
  return ROUND.map((beside, index) => summarise(beside.name, phases[index] ?? [], alone))
}

async function measurePhase(
  server: BenchServer,
  database: BenchDatabase,
  monthRows: MonthRows,
  beside: Beside,
  seconds: number,
): Promise<Phase> {
  const { connectionString, hostIds } = database
  const months = await monthRows.prepare(MONTHS)
  await using store = await Store.open({ connectionString, maintenanceIntervalMs: 0 })
  let isOver = false
  const producing = runProducers(store, () => (isOver ? [] : makeAlerts(hostIds, LIST_SIZE)))
  const startedAt = performance.now()
  const storedBefore = store.stats().stored
  let phase: Phase
  try {
    const working = withArchiveFolder(server.folder, folder =>
      beside.run({ seconds, store, connectionString, folder, months, rowsPerMonth: monthRows.rows }),
    )
    // Producers end before it only by an error.
    await Promise.race([working, producing.then(() => working)])
    const tookSeconds = (performance.now() - startedAt) / 1000
    phase = { seconds: tookSeconds, rowsPerSecond: (store.stats().stored - storedBefore) / tookSeconds }
  } finally {
    isOver = true
    await Promise.allSettled([producing])
  }
  await producing
  const left = beside.takesOut ? 1 : MONTHS + 1
  await database.requireAlerts(left * monthRows.rows + store.stats().stored, beside.name)
  return phase
}

function summarise(
  beside: string,
  phases: readonly Phase[],
  alone: readonly (readonly Phase[])[],
): ThroughputFigures {
  const rates = phases.map(({ rowsPerSecond }) => rowsPerSecond)
  const shares = rates.map(
    (rate, round) => rate / mean(alone.flatMap(rounds => rounds[round]?.rowsPerSecond ?? [])),
  )
  return {
    beside,
    rowsPerSecond: { median: median(rates), lowest: Math.min(...rates), highest: Math.max(...rates) },
    shareOfWithout: median(shares),
    seconds: median(phases.map(phase => phase.seconds)),
  }
}

export function formatThroughput(figures: readonly ThroughputFigures[], rounds: number): string {
  const table = formatTable(figures, [
    { title: 'throughput', value: row => row.beside, align: 'left' },
    { title: 'rows/s', value: row => grouped(row.rowsPerSecond.median) },
    {
      title: 'lowest–highest',
      value: ({ rowsPerSecond: { lowest, highest } }) => `${grouped(lowest)}–${grouped(highest)}`,
    },
    { title: '% of without', value: row => fixed(row.shareOfWithout * 100, 0, ' %') },
    { title: 'seconds', value: row => fixed(row.seconds, 1) },
  ])
  return [
    `insertAlerts, ${PRODUCERS} producers × ${grouped(LIST_SIZE)} as fast as they go, rows made meanwhile, while a month is taken out;`,
    `median of ${rounds} interleaved rounds`,
    table,
  ].join('\n')
}
