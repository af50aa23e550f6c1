import type { MaintenanceFailure } from '../../model/partition.ts'
import type { CommandContext } from '../command-context.ts'
import { EXIT_CODE } from '../exit-code.ts'
import { printable } from '../output.ts'

/** Says on stderr what failed and what helps, and ends the command with 1 when something did. */
export function reportFailures(
  context: CommandContext,
  report: { readonly skipped: boolean; readonly failures: readonly MaintenanceFailure[] },
): void {
  if (report.skipped) context.stderr.write('another maintenance is at work, so nothing was done\n')
  for (const { action, partition, error } of report.failures) {
    context.stderr.write(`${action} ${partition ?? 'alerts'}: ${printable(error.message)} [${error.code}]\n`)
    if (error.hint) context.stderr.write(`hint: ${printable(error.hint)}\n`)
  }
  if (report.failures.length > 0) context.exitCode = EXIT_CODE.failed
}

/** The same for `--json`: an error has no JSON form of its own. */
export function failureJson({ action, partition, error }: MaintenanceFailure): object {
  return { action, partition, code: error.code, message: error.message, hint: error.hint }
}
