import { formatLatency, measureLatency } from './partitions/latency.ts'
import { MonthRows } from './partitions/month-rows.ts'
import { formatMonths, measureMonths } from './partitions/months.ts'
import { parsePartitionsOptions } from './partitions/options.ts'
import { formatSpeed, measureSpeed } from './partitions/speed.ts'
import { formatThroughput, measureThroughput } from './partitions/throughput.ts'
import { copyAlerts } from './peers/copy-in.ts'
import { makeAlerts } from './support/bench-alert.ts'
import { BenchDatabase } from './support/bench-database.ts'
import { openBenchServer } from './support/bench-server.ts'
import { describeEnvironment, formatEnvironment } from './support/environment.ts'
import { openOutput } from './support/output.ts'

const SAMPLE_SIZE = 1000

/** What inserts and queries notice of the work on months, and how fast that work goes. */
export async function runPartitionsBench(args: readonly string[]): Promise<void> {
  const options = parsePartitionsOptions(args)
  const output = openOutput(options.json)
  await using server = await openBenchServer()
  await using database = await BenchDatabase.create(server)
  const sample = makeAlerts(database.hostIds, SAMPLE_SIZE)
  await copyAlerts(database.client, sample)
  const environment = await describeEnvironment(server, database, sample)
  const results: Record<string, object> = { environment }
  output.print(`${formatEnvironment(environment)}\n`)

  const monthRows = await MonthRows.create(database, options.rows)
  if (options.parts.has('latency')) {
    const latency = await measureLatency(server, database, monthRows, options, output)
    output.print(`${formatLatency(latency, options)}\n`)
    results['latency'] = latency
  }
  if (options.parts.has('throughput')) {
    const throughput = await measureThroughput(server, database, monthRows, options, output)
    output.print(`${formatThroughput(throughput, options.rounds)}\n`)
    results['throughput'] = throughput
  }
  if (options.parts.has('speed')) {
    const speed = await measureSpeed(server, database, monthRows, options.rounds, output)
    output.print(`${formatSpeed(speed, options.rounds)}\n`)
    results['speed'] = speed
  }
  if (options.parts.has('months')) {
    const months = await measureMonths(database, monthRows, options, output)
    output.print(formatMonths(months, options))
    results['months'] = months
  }
  output.json(results)
}
