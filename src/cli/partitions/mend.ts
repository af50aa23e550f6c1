import type { Command } from 'commander'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { grouped, writeJsonLines } from '../output.ts'
import { failureJson, reportFailures } from './report-failures.ts'

interface MendFlags extends DatabaseFlags {
  readonly removeDuplicates?: boolean
  readonly json?: boolean
}

export function mendCommand(context: CommandContext): Command {
  return databaseCommand('mend')
    .description('finish detachments that were cut, and complete months that were made by hand')
    .option(
      '--remove-duplicates',
      'where an alert stands twice: keep the first; what differs in content becomes a dead letter',
    )
    .option('--json', 'the report as one JSON object')
    .action(async (flags: MendFlags) => {
      const removeDuplicates = flags.removeDuplicates ?? false
      const report = await withStore(context, flags, store => store.mendPartitions({ removeDuplicates }))
      if (flags.json) {
        writeJsonLines(context.stdout, [{ ...report, failures: report.failures.map(failureJson) }])
      } else {
        for (const partition of report.finalized) context.stdout.write(`${partition}  detached\n`)
        for (const { partition, removed, deadLettered } of report.deduplicated) {
          const conflicts = deadLettered === 0 ? '' : `, ${grouped(deadLettered)} of them to the dead letters`
          context.stdout.write(`${partition}  ${grouped(removed)} duplicates removed${conflicts}\n`)
        }
        for (const partition of report.completed) context.stdout.write(`${partition}  completed\n`)
        const mended = report.finalized.length + report.completed.length
        if (mended === 0 && !report.skipped && report.failures.length === 0) {
          context.stdout.write('nothing to mend\n')
        }
      }
      reportFailures(context, report)
    })
}
