import { BenchDatabase, SEED_SCHEMA_STEPS } from '../support/bench-database.ts'
import type { BenchServer } from '../support/bench-server.ts'
import { cpuMicrosPerRow, type Measurement, measure, rowsPerSecond } from '../support/measure.ts'
import type { Output } from '../support/output.ts'
import { median } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import { listVariants, type Variant } from './variants.ts'

export interface VariantFigures {
  readonly variant: string
  readonly rows: number
  readonly rowsPerSecond: { readonly median: number; readonly lowest: number; readonly highest: number }
  readonly cpuMicrosPerRow: number
  /** Medians of the ratios within a round: what disturbs the machine for a while disturbs both sides. */
  readonly timesPipelined: number
  readonly timesPipelinedOnGoSchema: number
  readonly shareOfCeiling: number
}

export interface ThroughputFigures {
  readonly rounds: number
  readonly variants: readonly VariantFigures[]
  readonly notes: readonly string[]
}

export interface ThroughputOptions {
  readonly rows: number
  readonly rounds: number
}

type Role = NonNullable<Variant['role']>

/** Measures all variants in interleaved rounds, A B C … A B C …, because no machine is equally fast all the time. */
export async function measureThroughput(
  server: BenchServer,
  database: BenchDatabase,
  { rows, rounds }: ThroughputOptions,
  output: Output,
): Promise<ThroughputFigures> {
  await using seedDatabase = await BenchDatabase.create(server, SEED_SCHEMA_STEPS)
  const { variants, notes } = await listVariants({ server, database, seedDatabase, rows })
  const measured = variants.map(variant => ({ variant, measurements: [] as Measurement[] }))
  for (let round = 1; round <= rounds; round++) {
    for (const { variant, measurements } of measured) {
      const measurement = await measureVariant(variant)
      measurements.push(measurement)
      const rate = grouped(rowsPerSecond(measurement))
      output.progress(`round ${round} of ${rounds}: ${variant.name}: ${rate} rows/s`)
    }
  }
  const ratesOf = (role: Role) =>
    measured.find(({ variant }) => variant.role === role)?.measurements.map(rowsPerSecond) ?? []
  return {
    rounds,
    variants: measured.map(({ variant, measurements }) => summarise(variant, measurements, ratesOf)),
    notes,
  }
}

async function measureVariant(variant: Variant): Promise<Measurement> {
  await variant.database.clean()
  const run = await variant.open()
  let measurement: Measurement
  try {
    measurement = await measure(variant.rows, run.work)
  } finally {
    await run.close()
  }
  await variant.database.requireAlerts(variant.rows, variant.name)
  return measurement
}

function summarise(
  variant: Variant,
  measurements: readonly Measurement[],
  ratesOf: (role: Role) => readonly number[],
): VariantFigures {
  const rates = measurements.map(rowsPerSecond)
  const ratioTo = (role: Role) => {
    const others = ratesOf(role)
    return median(rates.map((rate, round) => rate / (others[round] ?? Number.NaN)))
  }
  return {
    variant: variant.name,
    rows: variant.rows,
    rowsPerSecond: { median: median(rates), lowest: Math.min(...rates), highest: Math.max(...rates) },
    cpuMicrosPerRow: median(measurements.map(cpuMicrosPerRow)),
    timesPipelined: ratioTo('pipelined'),
    timesPipelinedOnGoSchema: ratioTo('pipelined-go-schema'),
    shareOfCeiling: ratioTo('ceiling'),
  }
}

export function formatThroughput({ rounds, variants, notes }: ThroughputFigures): string {
  const table = formatTable(variants, [
    { title: 'variant', value: row => row.variant, align: 'left' },
    { title: 'rows', value: row => grouped(row.rows) },
    { title: 'rows/s', value: row => grouped(row.rowsPerSecond.median) },
    {
      title: 'lowest–highest',
      value: ({ rowsPerSecond: { lowest, highest } }) => `${grouped(lowest)}–${grouped(highest)}`,
    },
    { title: 'client CPU µs/row', value: row => fixed(row.cpuMicrosPerRow, 1) },
    { title: '× pipelined', value: row => fixed(row.timesPipelined, 2) },
    { title: '× on Go schema', value: row => fixed(row.timesPipelinedOnGoSchema, 2) },
    { title: '% of ceiling', value: row => fixed(row.shareOfCeiling * 100, 0, ' %') },
  ])
  const heading = `Throughput, median of ${rounds} interleaved rounds`
  return [heading, table, ...notes.map(note => `note: ${note}`)].join('\n')
}
