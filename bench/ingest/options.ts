import { parseArgs } from 'node:util'
import { parseCount } from '../support/count-flag.ts'
import { UsageError } from '../support/usage-error.ts'

export const INGEST_USAGE = `npm run bench -- ingest [options]

Throughput and latency of ingest, beside the peers and the ceiling. TRIPWIRE_BENCH_DATABASE_URL names a server to
use instead of an embedded one; its account must be allowed to create databases.

  --rows <n>         rows of a measurement (200000); slow variants write a share of it
  --rounds <n>       interleaved rounds (3)
  --memory           measure the memory of a long run instead
  --memory-rows <n>  rows of that run (2000000)
  --server           measure WAL and sizes of indexes instead, by variants of the indexes
  --json             print JSON instead of tables`

export interface IngestOptions {
  readonly rows: number
  readonly rounds: number
  readonly memory: boolean
  readonly memoryRows: number
  readonly server: boolean
  readonly json: boolean
}

/** @throws UsageError */
export function parseIngestOptions(args: readonly string[]): IngestOptions {
  const { rows, rounds, 'memory-rows': memoryRows, memory, server, json } = parseFlags(args)
  return {
    // Fewer rows than a batch would measure nothing that the names of the variants say.
    rows: parseCount('--rows', rows, 10_000),
    rounds: parseCount('--rounds', rounds, 1),
    memory,
    memoryRows: parseCount('--memory-rows', memoryRows, 10_000),
    server,
    json,
  }
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        rows: { type: 'string', default: '200000' },
        rounds: { type: 'string', default: '3' },
        memory: { type: 'boolean', default: false },
        'memory-rows': { type: 'string', default: '2000000' },
        server: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
