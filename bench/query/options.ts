import { parseArgs } from 'node:util'
import { parseCount } from '../support/count-flag.ts'
import { UsageError } from '../support/usage-error.ts'

const PARTS = ['pages', 'depth', 'timeline', 'stream', 'tail'] as const
export type Part = (typeof PARTS)[number]

export const QUERY_USAGE = `npm run bench -- query [options]

What a dashboard's questions cost over months of alerts of 200 hosts, 90 % INFO, 9 % WARN, 1 % CRITICAL, beside the ceiling
or the plain statement measured in the same run. TRIPWIRE_BENCH_DATABASE_URL names a server to use instead of an embedded one;
its account must be allowed to create databases.

  --alerts <n>       alerts of all months together (10000000)
  --months <n>       months, the present one included; the oldest has a tenth of the others (12)
  --rounds <n>       interleaved rounds (5)
  --stream-rows <n>  alerts that a stream reads (1000000)
  --seconds <n>      how long each measurement of tails takes (10)
  --part <name>      only this part, may be repeated:
                       pages     the newest page of 100 for every combination of filters, with buffers
                       depth     page 1 and page 10,000 by cursor, and by OFFSET
                       timeline  30 days by hour and severity, beside GROUP BY over the rows
                       stream    streamAlerts, beside COPY TO of the same rows, with memory
                       tail      commit to delivery, and the ingest beside 0, 1 and 20 tails
  --json             print JSON instead of tables`

export interface QueryOptions {
  readonly alerts: number
  readonly months: number
  readonly rounds: number
  readonly streamRows: number
  readonly seconds: number
  readonly parts: ReadonlySet<Part>
  readonly json: boolean
}

/** @throws UsageError */
export function parseQueryOptions(args: readonly string[]): QueryOptions {
  const flags = parseFlags(args)
  return {
    alerts: parseCount('--alerts', flags.alerts, 100_000),
    // A window of 30 days in the oldest month, and one in the months with all alerts.
    months: parseCount('--months', flags.months, 4),
    rounds: parseCount('--rounds', flags.rounds, 1),
    streamRows: parseCount('--stream-rows', flags['stream-rows'], 10_000),
    seconds: parseCount('--seconds', flags.seconds, 1),
    parts: new Set(flags.part.length === 0 ? PARTS : flags.part.map(parsePart)),
    json: flags.json,
  }
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        alerts: { type: 'string', default: '10000000' },
        months: { type: 'string', default: '12' },
        rounds: { type: 'string', default: '5' },
        'stream-rows': { type: 'string', default: '1000000' },
        seconds: { type: 'string', default: '10' },
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
