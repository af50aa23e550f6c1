import type { BenchDatabase } from '../support/bench-database.ts'
import { runScript } from '../support/child-process.ts'
import { rowsPerSecond } from '../support/measure.ts'
import type { Output } from '../support/output.ts'
import {
  formatReadings,
  parseReadingResult,
  type ReadingFigures,
  type ReadingResult,
  summariseReading,
} from '../support/reading-process.ts'
import { grouped } from '../support/table.ts'
import type { QueryOptions } from './options.ts'
import { READINGS, type Reading } from './reading.ts'

const NAMES: Readonly<Record<Reading, string>> = {
  stream: 'streamAlerts',
  copy: 'ceiling: COPY TO of the same rows, thrown away',
}

/** The moment of the alert after which so many are newer. */
const FIND_START = `
  SELECT to_json(received_at) #>> '{}' AS from
  FROM alerts
  ORDER BY received_at DESC
  LIMIT 1
  OFFSET $1`

const COUNT_SINCE = `
  SELECT count(*)::integer AS alerts
  FROM alerts
  WHERE received_at >= $1`

/** Streams the newest alerts, beside copying them out, each in a fresh process and in interleaved rounds. */
export async function measureStream(
  { client, connectionString }: BenchDatabase,
  { streamRows, rounds }: QueryOptions,
  output: Output,
): Promise<readonly ReadingFigures[]> {
  const start = await client.query<{ from: string }>(FIND_START, [streamRows - 1])
  const from = start.rows[0]?.from
  if (from === undefined) throw new Error(`there are no ${streamRows} alerts`)
  const counted = await client.query<{ alerts: number }>(COUNT_SINCE, [from])
  const args = [String(counted.rows[0]?.alerts), from]
  const results = new Map<Reading, ReadingResult[]>(READINGS.map(reading => [reading, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const reading of READINGS) {
      const printed = await runScript(connectionString, 'bench/query/read-alerts.ts', [reading, ...args])
      const result = parseReadingResult(printed)
      results.get(reading)?.push(result)
      output.progress(
        `round ${round} of ${rounds}: ${NAMES[reading]}: ${grouped(rowsPerSecond(result))} alerts/s`,
      )
    }
  }
  const others = new Map([['ceiling', results.get('copy') ?? []]])
  return READINGS.map(reading => summariseReading(NAMES[reading], results.get(reading) ?? [], others))
}

export function formatStream(figures: readonly ReadingFigures[], { rounds }: QueryOptions): string {
  return [
    `The newest alerts, each reading in a fresh process; median of ${rounds} interleaved rounds`,
    `${formatReadings(figures, 'alert')}\n`,
  ].join('\n')
}
