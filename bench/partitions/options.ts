import { parseArgs } from 'node:util'
import { parseCount } from '../support/count-flag.ts'
import { UsageError } from '../support/usage-error.ts'

const PARTS = ['latency', 'throughput', 'speed', 'months'] as const
export type Part = (typeof PARTS)[number]

export const PARTITIONS_USAGE = `npm run bench -- partitions [options]

What inserts and queries notice while months are made, completed and taken out, and how fast that goes, beside the
ceiling. TRIPWIRE_BENCH_DATABASE_URL names a server to use instead of an embedded one; its account must be allowed to
create databases.

  --months <n>   old months that a retention takes out (3)
  --rows <n>     alerts of a month (200000)
  --rounds <n>   interleaved rounds (3)
  --rate <n>     lists of 100 alerts that are inserted a second (50)
  --seconds <n>  how long the load is measured without a retention (20)
  --part <name>  only this part, may be repeated:
                   latency     inserts and queries at a fixed rate, with and without a retention
                   throughput  inserts as fast as they go, with and without a retention
                   speed       retention and restore, beside COPY
                   months      inserts at a fixed rate while months are made and completed
  --json         print JSON instead of tables`

export interface PartitionsOptions {
  readonly months: number
  readonly rows: number
  readonly rounds: number
  readonly listsPerSecond: number
  readonly seconds: number
  readonly parts: ReadonlySet<Part>
  readonly json: boolean
}

/** @throws UsageError */
export function parsePartitionsOptions(args: readonly string[]): PartitionsOptions {
  const { months, rows, rounds, rate, seconds, part, json } = parseFlags(args)
  return {
    months: parseCount('--months', months, 1),
    // A smaller month is gone before a load has met it.
    rows: parseCount('--rows', rows, 10_000),
    rounds: parseCount('--rounds', rounds, 1),
    listsPerSecond: parseCount('--rate', rate, 1),
    seconds: parseCount('--seconds', seconds, 1),
    parts: new Set(part.length === 0 ? PARTS : part.map(parsePart)),
    json,
  }
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        months: { type: 'string', default: '3' },
        rows: { type: 'string', default: '200000' },
        rounds: { type: 'string', default: '3' },
        rate: { type: 'string', default: '50' },
        seconds: { type: 'string', default: '20' },
        part: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function parsePart(text: string): Part {
  const part = PARTS.find(each => each === text)
  if (!part) throw new UsageError(`--part needs one of ${PARTS.join(', ')}, not ${text}`)
  return part
}
