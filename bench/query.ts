import { formatDepth, measureDepth } from './query/depth.ts'
import { type FilledMonths, fillMonths } from './query/fill-months.ts'
import { parseQueryOptions, type QueryOptions } from './query/options.ts'
import { formatPages, measurePages } from './query/pages.ts'
import { formatStream, measureStream } from './query/stream.ts'
import { formatTail, measureTail } from './query/tail.ts'
import { formatTimeline, measureTimeline } from './query/timeline.ts'
import { BenchDatabase } from './support/bench-database.ts'
import { openBenchServer } from './support/bench-server.ts'
import { describeServer, formatServer } from './support/environment.ts'
import { type Output, openOutput } from './support/output.ts'

type Results = Record<string, object>

/** What pages, counts, streams and tails cost over millions of alerts. */
export async function runQueryBench(args: readonly string[]): Promise<void> {
  const options = parseQueryOptions(args)
  const output = openOutput(options.json)
  await using server = await openBenchServer()
  await using database = await BenchDatabase.create(server)
  const environment = await describeServer(server, database.client)
  output.print(`${formatServer(environment)}\n`)
  const results: Results = { environment }
  if ([...options.parts].some(part => part !== 'tail')) {
    const filled = await fillMonths(database, options, output)
    await runReading(database, filled, options, output, results)
  }
  if (options.parts.has('tail')) {
    const tail = await measureTail(database, options, output)
    output.print(formatTail(tail, options))
    results['tail'] = tail
  }
  output.json(results)
}

async function runReading(
  database: BenchDatabase,
  filled: FilledMonths,
  options: QueryOptions,
  output: Output,
  results: Results,
): Promise<void> {
  const { parts, rounds } = options
  if (parts.has('pages')) {
    const pages = await measurePages(database, filled, rounds, output)
    output.print(formatPages(pages, rounds))
    results['pages'] = pages
  }
  if (parts.has('depth')) {
    const depth = await measureDepth(database, filled, options, output)
    output.print(formatDepth(depth))
    results['depth'] = depth
  }
  if (parts.has('timeline')) {
    const timeline = await measureTimeline(database, filled, rounds, output)
    output.print(formatTimeline(timeline, rounds))
    results['timeline'] = timeline
  }
  if (parts.has('stream')) {
    const stream = await measureStream(database, options, output)
    output.print(formatStream(stream, options))
    results['stream'] = stream
  }
}
