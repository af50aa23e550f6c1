import { runScript } from '../partitions/child-process.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import { cpuMicrosPerRow, rowsPerSecond } from '../support/measure.ts'
import type { Output } from '../support/output.ts'
import { median } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import type { AuditOptions } from './options.ts'
import { parseReadingResult, READINGS, type Reading, type ReadingResult } from './reading.ts'

const MEGABYTE = 2 ** 20
const NAMES: Readonly<Record<Reading, string>> = {
  verify: 'verifyAuditChain',
  lines: 'ceiling: its statement, rows thrown away',
  columns: 'SELECT of the columns, rows thrown away',
}

export interface ReadingFigures {
  readonly reading: string
  readonly entriesPerSecond: { readonly median: number; readonly lowest: number; readonly highest: number }
  readonly clientCpuMicrosPerEntry: number
  /** Of the two others in the same round; the medians of the rounds. */
  readonly shareOfCeiling: number
  readonly shareOfColumns: number
  /** Resident, in bytes: before the first entry, and the highest of each tenth; medians of the rounds. */
  readonly bytesBefore: number
  readonly bytesOfSteps: readonly number[]
  /** The highest of the second half less that of the first, as a share of it; the median of the rounds. */
  readonly growth: number
}

/** Verifies a log, beside reading it, each in a fresh process and in interleaved rounds. */
export async function measureVerify(
  { connectionString }: BenchDatabase,
  { entries, rounds }: AuditOptions,
  output: Output,
): Promise<readonly ReadingFigures[]> {
  const results = new Map<Reading, ReadingResult[]>(READINGS.map(reading => [reading, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const reading of READINGS) {
      const printed = await runScript(connectionString, 'bench/audit/read-log.ts', [reading, String(entries)])
      const result = parseReadingResult(printed)
      results.get(reading)?.push(result)
      output.progress(`round ${round} of ${rounds}: ${NAMES[reading]}: ${grouped(rate(result))} entries/s`)
    }
  }
  const ratesOf = (reading: Reading) => results.get(reading)?.map(rate) ?? []
  return READINGS.map(reading => summarise(reading, results.get(reading) ?? [], ratesOf))
}

function rate({ entries, seconds, cpuMicros }: ReadingResult): number {
  return rowsPerSecond({ rows: entries, seconds, cpuMicros })
}

function summarise(
  reading: Reading,
  results: readonly ReadingResult[],
  ratesOf: (reading: Reading) => readonly number[],
): ReadingFigures {
  const rates = results.map(rate)
  const shareOf = (other: Reading) => {
    const others = ratesOf(other)
    return median(rates.map((each, round) => each / (others[round] ?? Number.NaN)))
  }
  const steps = results[0]?.bytesOfSteps.map((_, step) =>
    median(results.map(result => result.bytesOfSteps[step] ?? Number.NaN)),
  )
  return {
    reading: NAMES[reading],
    entriesPerSecond: { median: median(rates), lowest: Math.min(...rates), highest: Math.max(...rates) },
    clientCpuMicrosPerEntry: median(
      results.map(({ entries, seconds, cpuMicros }) =>
        cpuMicrosPerRow({ rows: entries, seconds, cpuMicros }),
      ),
    ),
    shareOfCeiling: shareOf('lines'),
    shareOfColumns: shareOf('columns'),
    bytesBefore: median(results.map(result => result.bytesBefore)),
    bytesOfSteps: steps ?? [],
    growth: median(results.map(growthOf)),
  }
}

function growthOf({ bytesOfSteps }: ReadingResult): number {
  const half = bytesOfSteps.length / 2
  return Math.max(...bytesOfSteps.slice(half)) / Math.max(...bytesOfSteps.slice(0, half)) - 1
}

export function formatVerify(figures: readonly ReadingFigures[], options: AuditOptions): string {
  const speed = formatTable(figures, [
    { title: 'verify', value: row => row.reading, align: 'left' },
    { title: 'entries/s', value: row => grouped(row.entriesPerSecond.median) },
    {
      title: 'lowest–highest',
      value: ({ entriesPerSecond: { lowest, highest } }) => `${grouped(lowest)}–${grouped(highest)}`,
    },
    { title: 'client CPU µs/entry', value: row => fixed(row.clientCpuMicrosPerEntry, 1) },
    { title: '% of ceiling', value: row => fixed(row.shareOfCeiling * 100, 0, ' %') },
    { title: '% of columns', value: row => fixed(row.shareOfColumns * 100, 0, ' %') },
  ])
  const memory = formatTable(figures, [
    { title: 'resident memory, MiB', value: row => row.reading, align: 'left' },
    { title: 'before', value: row => megabytes(row.bytesBefore) },
    ...[0, 1, 4, 7, 9].map(step => ({
      title: `${(step + 1) * 10} %`,
      value: (row: ReadingFigures) => megabytes(row.bytesOfSteps[step] ?? Number.NaN),
    })),
    {
      title: '2nd half to 1st',
      value: row => `${row.growth < 0 ? '' : '+'}${fixed(row.growth * 100, 1, ' %')}`,
    },
  ])
  return [
    `${grouped(options.entries)} entries ${options.layout}, each reading in a fresh process; median of ${options.rounds} interleaved rounds`,
    speed,
    '',
    'The highest sample of a tenth of the entries, which ends at the share given',
    memory,
  ].join('\n')
}

function megabytes(bytes: number): string {
  return fixed(bytes / MEGABYTE, 0)
}
