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
import type { AuditOptions } from './options.ts'
import { READINGS, type Reading } from './reading.ts'

const NAMES: Readonly<Record<Reading, string>> = {
  verify: 'verifyAuditChain',
  lines: 'ceiling: its statement, rows thrown away',
  columns: 'SELECT of the columns, rows thrown away',
}

/** Verifies a log, beside reading it, each in a fresh process and in interleaved rounds. */
export async function measureVerify(
  { connectionString }: BenchDatabase,
  { entries, rounds }: AuditOptions,
  output: Output,
): Promise<readonly ReadingFigures[]> {
  const results = new Map<Reading, ReadingResult[]>(READINGS.map(reading => [reading, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const reading of READINGS) {
      const printed = await runScript(connectionString, 'bench/audit/read-log.ts', [reading, String(entries)])
      const result = parseReadingResult(printed)
      results.get(reading)?.push(result)
      output.progress(
        `round ${round} of ${rounds}: ${NAMES[reading]}: ${grouped(rowsPerSecond(result))} entries/s`,
      )
    }
  }
  const others = new Map([
    ['ceiling', results.get('lines') ?? []],
    ['columns', results.get('columns') ?? []],
  ])
  return READINGS.map(reading => summariseReading(NAMES[reading], results.get(reading) ?? [], others))
}

export function formatVerify(figures: readonly ReadingFigures[], options: AuditOptions): string {
  return [
    `${grouped(options.entries)} entries ${options.layout}, each reading in a fresh process; median of ${options.rounds} interleaved rounds`,
    formatReadings(figures, 'entry'),
  ].join('\n')
}
