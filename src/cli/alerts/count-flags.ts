import type { Command } from 'commander'
import { SEVERITY_LEVELS, type SeverityLevel } from '../../model/alert.ts'
import { parseOneOf } from '../../model/input.ts'
import type { DatabaseFlags } from '../database.ts'
import { parseTimeArgument, TIME_HELP } from '../time-argument.ts'

/** The flags of what counts alerts. */
export interface CountFlags extends DatabaseFlags {
  readonly from: string
  readonly to: string
  readonly severity?: string
  readonly json?: boolean
}

export function addCountFlags(command: Command): Command {
  return command
    .option('--from <time>', `first moment: ${TIME_HELP}`, '-24h')
    .option('--to <time>', 'first moment that is not included any more', 'now')
    .option('--severity <levels>', `one or several, with commas between: ${SEVERITY_LEVELS.join(', ')}`)
    .option('--json', 'one JSON object a line')
}

export function parseCountFlags(flags: CountFlags): {
  readonly from: string
  readonly to: string
  readonly severity: readonly SeverityLevel[] | undefined
} {
  return {
    from: parseTimeArgument('--from', flags.from),
    to: parseTimeArgument('--to', flags.to),
    severity: flags.severity
      ?.toUpperCase()
      .split(',')
      .map(level => parseOneOf('--severity', level.trim(), SEVERITY_LEVELS)),
  }
}
