import type { Command } from 'commander'
import type { SeverityLevel } from '../../model/alert.ts'
import type { DatabaseFlags } from '../database.ts'
import { parseTimeArgument, TIME_HELP } from '../time-argument.ts'
import { addSeverityFlag, parseSeverityFlag } from './severity-flag.ts'

/** The flags of what counts alerts. */
export interface CountFlags extends DatabaseFlags {
  readonly from: string
  readonly to: string
  readonly severity?: readonly string[]
  readonly json?: boolean
}

export function addCountFlags(command: Command): Command {
  return addSeverityFlag(
    command
      .option('--from <time>', `first moment: ${TIME_HELP}`, '-24h')
      .option('--to <time>', 'first moment that is not included any more', 'now'),
  ).option('--json', 'one JSON object a line')
}

export function parseCountFlags(flags: CountFlags): {
  readonly from: string
  readonly to: string
  readonly severity: readonly SeverityLevel[] | undefined
} {
  return {
    from: parseTimeArgument('--from', flags.from),
    to: parseTimeArgument('--to', flags.to),
    severity: parseSeverityFlag(flags.severity),
  }
}
