import { Store } from '../../src/index.ts'
import { makeAlerts } from '../support/bench-alert.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { Output } from '../support/output.ts'
import { fixed, grouped } from '../support/table.ts'
import { LIST_SIZE, runProducers } from './engine-runs.ts'

const SAMPLE_INTERVAL_MS = 50
const STEPS = 10
const MEGABYTE = 2 ** 20

/** In bytes: of the whole process, and of what JavaScript holds. */
interface MemoryUse {
  readonly rss: number
  readonly heap: number
}

export interface MemoryFigures {
  readonly rows: number
  readonly rowsPerSecond: number
  /** The highest samples of each tenth of the rows. */
  readonly steps: readonly MemoryUse[]
  /** Memory that is bounded is as high in the first half as in the second. */
  readonly firstHalf: MemoryUse
  readonly secondHalf: MemoryUse
}

/** Samples the memory of this process while the engine runs at its best. The rows are made on the fly, list by list. */
export async function measureMemory(
  database: BenchDatabase,
  rows: number,
  output: Output,
): Promise<MemoryFigures> {
  await database.clean()
  await using store = await Store.open({ connectionString: database.connectionString })
  output.print(`Memory, highest samples of each tenth of ${grouped(rows)} rows`)
  const startedAt = performance.now()
  const steps = await sampleRun(store, database.hostIds, rows, output)
  const seconds = (performance.now() - startedAt) / 1000
  await database.requireAlerts(rows, 'memory')
  return {
    rows,
    rowsPerSecond: rows / seconds,
    steps,
    firstHalf: highest(steps.slice(0, STEPS / 2)),
    secondHalf: highest(steps.slice(STEPS / 2)),
  }
}

async function sampleRun(
  store: Store,
  hostIds: readonly string[],
  rows: number,
  output: Output,
): Promise<readonly MemoryUse[]> {
  const steps: MemoryUse[] = []
  let current = readMemory()
  let sent = 0
  const sample = () => {
    current = highest([current, readMemory()])
  }
  const timer = setInterval(sample, SAMPLE_INTERVAL_MS)
  const finishSteps = (done: number) => {
    while (done >= ((steps.length + 1) * rows) / STEPS) {
      sample()
      steps.push(current)
      output.print(`${String(steps.length * (100 / STEPS)).padStart(4)} %  ${formatUse(current)}`)
      current = readMemory()
    }
  }
  try {
    await runProducers(store, () => {
      finishSteps(store.stats().stored)
      const list = makeAlerts(hostIds, Math.min(LIST_SIZE, rows - sent))
      sent += list.length
      return list
    })
    finishSteps(rows)
  } finally {
    clearInterval(timer)
  }
  return steps
}

function readMemory(): MemoryUse {
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heap: heapUsed }
}

function highest(uses: readonly MemoryUse[]): MemoryUse {
  return { rss: Math.max(...uses.map(use => use.rss)), heap: Math.max(...uses.map(use => use.heap)) }
}

export function formatMemory({ firstHalf, secondHalf, rowsPerSecond }: MemoryFigures): string {
  return [
    `first half:  ${formatUse(firstHalf)}`,
    `second half: ${formatUse(secondHalf)}`,
    `growth of rss: ${fixed((secondHalf.rss / firstHalf.rss - 1) * 100, 1, ' %')}, at ${grouped(rowsPerSecond)} rows/s, rows made meanwhile`,
  ].join('\n')
}

function formatUse({ rss, heap }: MemoryUse): string {
  return `rss ${fixed(rss / MEGABYTE, 0, ' MiB')}, heap ${fixed(heap / MEGABYTE, 0, ' MiB')}`
}
