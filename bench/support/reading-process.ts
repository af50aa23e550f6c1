import { cpuMicrosPerRow, rowsPerSecond } from './measure.ts'
import { MemorySteps } from './memory-steps.ts'
import { median } from './statistics.ts'
import { fixed, formatTable, grouped } from './table.ts'

const MEGABYTE = 2 ** 20

/** What a process found that read many rows once. */
export interface ReadingResult {
  readonly rows: number
  readonly seconds: number
  readonly cpuMicros: number
  /** Resident memory, before the first row. */
  readonly bytesBefore: number
  /** The highest of each tenth of the rows. */
  readonly bytesOfSteps: readonly number[]
}

/**
 * What such a process does: it reads, and prints its result. A process of its own, so that the memory is that of the reading
 * alone.
 * @throws when it read another number of rows.
 */
export async function runReading(
  expectedRows: number,
  read: (onRows: (rows: number) => void) => Promise<number>,
): Promise<void> {
  using memory = new MemorySteps(expectedRows)
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const rows = await read(done => memory.reach(done))
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  if (rows !== expectedRows) throw new Error(`${rows} of ${expectedRows} rows were read`)
  const result: ReadingResult = {
    rows,
    seconds,
    cpuMicros: user + system,
    bytesBefore: memory.bytesBefore,
    bytesOfSteps: memory.finish(),
  }
  process.stdout.write(JSON.stringify(result))
}

/** @throws when it is not what `runReading` prints. */
export function parseReadingResult(text: string): ReadingResult {
  const value: unknown = JSON.parse(text)
  if (isReadingResult(value)) return value
  throw new Error(`not what a reading prints: ${text}`)
}

function isReadingResult(value: unknown): value is ReadingResult {
  if (typeof value !== 'object' || value === null) return false
  const numbers = ['rows', 'seconds', 'cpuMicros', 'bytesBefore']
  return (
    numbers.every(name => typeof Reflect.get(value, name) === 'number') &&
    'bytesOfSteps' in value &&
    Array.isArray(value.bytesOfSteps) &&
    value.bytesOfSteps.every(bytes => typeof bytes === 'number')
  )
}

export interface ReadingFigures {
  readonly reading: string
  readonly rowsPerSecond: { readonly median: number; readonly lowest: number; readonly highest: number }
  readonly clientCpuMicrosPerRow: number
  /** Of the rates of the others in the same round; the medians of the rounds. */
  readonly shares: readonly { readonly of: string; readonly share: number }[]
  /** Resident, in bytes: before the first row, and the highest of each tenth; medians of the rounds. */
  readonly bytesBefore: number
  readonly bytesOfSteps: readonly number[]
  /** The highest of the second half less that of the first, as a share of it; the median of the rounds. */
  readonly growth: number
}

/** @param others what the reading is compared with, by a title for its column. */
export function summariseReading(
  reading: string,
  results: readonly ReadingResult[],
  others: ReadonlyMap<string, readonly ReadingResult[]>,
): ReadingFigures {
  const rates = results.map(rowsPerSecond)
  const steps = results[0]?.bytesOfSteps.map((_, step) =>
    median(results.map(result => result.bytesOfSteps[step] ?? Number.NaN)),
  )
  return {
    reading,
    rowsPerSecond: { median: median(rates), lowest: Math.min(...rates), highest: Math.max(...rates) },
    clientCpuMicrosPerRow: median(results.map(cpuMicrosPerRow)),
    shares: [...others].map(([of, other]) => {
      const otherRates = other.map(rowsPerSecond)
      return { of, share: median(rates.map((each, round) => each / (otherRates[round] ?? Number.NaN))) }
    }),
    bytesBefore: median(results.map(result => result.bytesBefore)),
    bytesOfSteps: steps ?? [],
    growth: median(results.map(growthOf)),
  }
}

function growthOf({ bytesOfSteps }: ReadingResult): number {
  const half = bytesOfSteps.length / 2
  return Math.max(...bytesOfSteps.slice(half)) / Math.max(...bytesOfSteps.slice(0, half)) - 1
}

/** @param row what a row is called: `entry`. */
export function formatReadings(figures: readonly ReadingFigures[], row: string): string {
  const speed = formatTable(figures, [
    { title: 'reading', value: each => each.reading, align: 'left' },
    { title: `rows/s`, value: each => grouped(each.rowsPerSecond.median) },
    {
      title: 'lowest–highest',
      value: ({ rowsPerSecond: { lowest, highest } }) => `${grouped(lowest)}–${grouped(highest)}`,
    },
    { title: `client CPU µs/${row}`, value: each => fixed(each.clientCpuMicrosPerRow, 1) },
    ...(figures[0]?.shares.map(({ of }, index) => ({
      title: `% of ${of}`,
      value: ({ shares }: ReadingFigures) => fixed((shares[index]?.share ?? Number.NaN) * 100, 0, ' %'),
    })) ?? []),
  ])
  const memory = formatTable(figures, [
    { title: 'resident memory, MiB', value: each => each.reading, align: 'left' },
    { title: 'before', value: each => megabytes(each.bytesBefore) },
    ...[0, 1, 4, 7, 9].map(step => ({
      title: `${(step + 1) * 10} %`,
      value: (each: ReadingFigures) => megabytes(each.bytesOfSteps[step] ?? Number.NaN),
    })),
    {
      title: '2nd half to 1st',
      value: each => `${each.growth < 0 ? '' : '+'}${fixed(each.growth * 100, 1, ' %')}`,
    },
  ])
  return `${speed}\n\nThe highest sample of a tenth of the rows, which ends at the share given\n${memory}`
}

function megabytes(bytes: number): string {
  return fixed(bytes / MEGABYTE, 0)
}
