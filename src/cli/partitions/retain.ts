import type { Command } from 'commander'
import type { DueMonth, RetentionOptions } from '../../model/partition.ts'
import type { Store } from '../../store.ts'
import { BYTES_HELP, formatBytes, parseBytesArgument } from '../bytes-argument.ts'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { parseNumberArgument } from '../number-argument.ts'
import { grouped, writeJsonLines, writeTable } from '../output.ts'
import { failureJson, reportFailures } from './report-failures.ts'

interface RetainFlags extends DatabaseFlags {
  readonly keepMonths?: string
  readonly keepBytes?: string
  readonly archiveDir?: string
  readonly includeRestored?: boolean
  readonly actor?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

export function retainCommand(context: CommandContext): Command {
  return databaseCommand('retain')
    .description('take out the months that are due: detach, archive, verify, drop')
    .option('--keep-months <n>', 'how many months to keep beside the present one')
    .option('--keep-bytes <size>', `how much all months may take: ${BYTES_HELP}`)
    .option('--archive-dir <folder>', 'where the archives go; without it months are detached and not dropped')
    .option('--include-restored', 'also months that were restored from an archive')
    .option('--actor <name>', 'who lets the months go: it is appended to the audit log')
    .option('--dry-run', 'list the months that are due and change nothing')
    .option('--json', 'one JSON object a line; with failures in the last one')
    .action(async (flags: RetainFlags) => {
      const options: RetentionOptions = {
        keepMonths:
          flags.keepMonths === undefined ? undefined : parseNumberArgument('--keep-months', flags.keepMonths),
        keepBytes:
          flags.keepBytes === undefined ? undefined : parseBytesArgument('--keep-bytes', flags.keepBytes),
        archiveDir: flags.archiveDir,
        includeRestored: flags.includeRestored ?? false,
        actor: flags.actor,
      }
      await withStore(context, flags, store =>
        flags.dryRun ? showDueMonths(context, flags, store, options) : retain(context, flags, store, options),
      )
    })
}

async function showDueMonths(
  context: CommandContext,
  flags: RetainFlags,
  store: Store,
  options: RetentionOptions,
): Promise<void> {
  const due = await store.planRetention(options)
  if (flags.json) return writeJsonLines(context.stdout, due)
  if (due.length === 0) return void context.stdout.write('no month is due\n')
  writeTable(context.stdout, due, [
    { title: 'PARTITION', value: month => month.partition },
    { title: 'FROM', value: month => month.from },
    { title: 'TO', value: month => month.to },
    { title: 'ROWS', value: (month: DueMonth) => `~${grouped(month.rows)}` },
    { title: 'SIZE', value: month => formatBytes(month.bytes) },
  ])
}

async function retain(
  context: CommandContext,
  flags: RetainFlags,
  store: Store,
  options: RetentionOptions,
): Promise<void> {
  const report = await store.applyRetention(options)
  if (flags.json) {
    writeJsonLines(context.stdout, report.retired)
    writeJsonLines(context.stdout, [{ skipped: report.skipped, failures: report.failures.map(failureJson) }])
  } else {
    for (const { partition, outcome, rows, manifest } of report.retired) {
      const archived = rows === null ? '' : `, ${grouped(rows)} alerts in ${manifest}`
      context.stdout.write(`${partition}  ${outcome}${archived}\n`)
    }
    if (report.retired.length === 0 && !report.skipped && report.failures.length === 0) {
      context.stdout.write('no month is due\n')
    }
  }
  reportFailures(context, report)
}
