import { formatLatency, measureLatency } from './ingest/latency.ts'
import { formatMemory, measureMemory } from './ingest/memory.ts'
import { parseIngestOptions } from './ingest/options.ts'
import { formatServerCost, measureServerCost } from './ingest/server-cost.ts'
import { formatThroughput, measureThroughput } from './ingest/throughput.ts'
import { copyAlerts } from './peers/copy-in.ts'
import { makeAlerts } from './support/bench-alert.ts'
import { BenchDatabase } from './support/bench-database.ts'
import { type BenchServer, openBenchServer } from './support/bench-server.ts'
import { describeEnvironment, type Environment, formatEnvironment } from './support/environment.ts'
import { openOutput } from './support/output.ts'

const SAMPLE_SIZE = 1000

/** Throughput and latency; or what the flags ask for instead. */
export async function runIngestBench(args: readonly string[]): Promise<void> {
  const options = parseIngestOptions(args)
  const output = openOutput(options.json)
  await using server = await openBenchServer()
  await using database = await BenchDatabase.create(server)
  const environment = await describeWithSample(server, database)
  const results: Record<string, object> = { environment }
  output.print(`${formatEnvironment(environment)}
`)

  if (options.memory) {
    const memory = await measureMemory(database, options.memoryRows, output)
    output.print(`${formatMemory(memory)}\n`)
    results['memory'] = memory
  }
  if (options.server) {
    const serverCost = await measureServerCost(server, options, output)
    output.print(`${formatServerCost(serverCost, options.rows)}\n`)
    results['serverCost'] = serverCost
  }
  if (!options.memory && !options.server) {
    const throughput = await measureThroughput(server, database, options, output)
    output.print(`${formatThroughput(throughput)}\n`)
    const latency = await measureLatency(database)
    output.print(formatLatency(latency))
    Object.assign(results, { throughput, latency })
  }
  output.json(results)
}

async function describeWithSample(server: BenchServer, database: BenchDatabase): Promise<Environment> {
  const sample = makeAlerts(database.hostIds, SAMPLE_SIZE)
  await copyAlerts(database.client, sample)
  return describeEnvironment(server, database, sample)
}
