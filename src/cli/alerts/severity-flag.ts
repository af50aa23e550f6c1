import type { Command } from 'commander'
import { SEVERITY_LEVELS, type SeverityLevel } from '../../model/alert.ts'
import { parseOneOf } from '../../model/input.ts'

/** One level or several: with commas between, or the flag several times. */
export function addSeverityFlag(command: Command): Command {
  return command.option(
    '--severity <levels>',
    `one or several, with commas between: ${SEVERITY_LEVELS.join(', ')}`,
    (levels: string, earlier: readonly string[] = []) => [...earlier, ...levels.split(',')],
  )
}

/** @throws InvalidInputError */
export function parseSeverityFlag(
  levels: readonly string[] | undefined,
): readonly SeverityLevel[] | undefined {
  return levels?.map(level => parseOneOf('--severity', level.trim().toUpperCase(), SEVERITY_LEVELS))
}
