/** Benchmarks, each beside a peer or the ceiling measured in the same run: `npm run bench -- ingest`. */
import { AUDIT_USAGE } from './audit/options.ts'
import { runAuditBench } from './audit.ts'
import { INGEST_USAGE } from './ingest/options.ts'
import { runIngestBench } from './ingest.ts'
import { PARTITIONS_USAGE } from './partitions/options.ts'
import { runPartitionsBench } from './partitions.ts'
import { QUERY_USAGE } from './query/options.ts'
import { runQueryBench } from './query.ts'
import { UsageError } from './support/usage-error.ts'

interface Bench {
  readonly usage: string
  readonly run: (args: readonly string[]) => Promise<void>
}

const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ['ingest', { usage: INGEST_USAGE, run: runIngestBench }],
  ['partitions', { usage: PARTITIONS_USAGE, run: runPartitionsBench }],
  ['query', { usage: QUERY_USAGE, run: runQueryBench }],
  ['audit', { usage: AUDIT_USAGE, run: runAuditBench }],
])

const [name = '', ...args] = process.argv.slice(2)
const bench = BENCHES.get(name)
if (!bench || args.includes('--help')) {
  const usage = bench?.usage ?? [...BENCHES.values()].map(({ usage }) => usage).join('\n\n')
  process.stdout.write(`${usage}\n`)
  if (!bench && name !== '--help') process.exitCode = 2
} else {
  try {
    await bench.run(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n\n${bench.usage}\n`)
    process.exitCode = 2
  }
}
