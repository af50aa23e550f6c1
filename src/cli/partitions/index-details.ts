import type { Command } from 'commander'
import { parseOneOf } from '../../model/input.ts'
import { DETAIL_INDEX_MONTHS } from '../../model/partition.ts'
import { DEFAULT_DETAIL_INDEX_MONTHS } from '../../store-options.ts'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { writeJsonLines } from '../output.ts'
import { failureJson, reportFailures } from './report-failures.ts'

interface IndexDetailsFlags extends DatabaseFlags {
  readonly months: string
  readonly json?: boolean
}

export function indexDetailsCommand(context: CommandContext): Command {
  return databaseCommand('index-details')
    .description('build the indexes that find alerts by their detail; writers go on')
    .option(
      '--months <months>',
      'of closed months, which ended a day ago or earlier, or of every one',
      DEFAULT_DETAIL_INDEX_MONTHS,
    )
    .option('--json', 'the report as one JSON object')
    .action(async (flags: IndexDetailsFlags) => {
      const months = parseOneOf('--months', flags.months, DETAIL_INDEX_MONTHS)
      const report = await withStore(context, flags, store => store.indexAlertDetails({ months }))
      if (flags.json) {
        writeJsonLines(context.stdout, [{ ...report, failures: report.failures.map(failureJson) }])
      } else {
        for (const partition of report.indexed) context.stdout.write(`${partition}  indexed\n`)
        if (report.indexed.length === 0 && report.failures.length === 0) {
          context.stdout.write('nothing to index\n')
        }
      }
      reportFailures(context, { ...report, skipped: false })
    })
}
