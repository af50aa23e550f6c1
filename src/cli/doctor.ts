import type { Command } from 'commander'
import { diagnose } from '../doctor/diagnose.ts'
import { DEFAULT_MIN_HORIZON_DAYS } from '../doctor/diagnose-options.ts'
import type { Diagnosis, Finding } from '../doctor/diagnosis.ts'
import type { CommandContext, TextOutput } from './command-context.ts'
import { type DatabaseFlags, databaseCommand, withDatabase } from './database.ts'
import { EXIT_CODE, type ExitCode } from './exit-code.ts'
import { parseNumberArgument } from './number-argument.ts'
import { printable, writeJsonLines, writeTable } from './output.ts'

interface DoctorFlags extends DatabaseFlags {
  readonly spoolDir?: string
  readonly keepMonths?: string
  readonly minHorizonDays: string
  readonly json?: boolean
}

export function doctorCommand(context: CommandContext): Command {
  return databaseCommand('doctor')
    .description('examine a database: what is wrong, what it means, and what mends it; changes nothing')
    .option('--spool-dir <folder>', 'a spool to look into as well, also while a process has it')
    .option('--keep-months <n>', 'how many months shall be kept, instead of what the retention was told last')
    .option(
      '--min-horizon-days <n>',
      'for how many days ahead there must be partitions',
      String(DEFAULT_MIN_HORIZON_DAYS),
    )
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nEnds with 0 when all is well, 3 when something was found, and 1 when nothing was found but something could\nnot be checked.',
    )
    .action(async (flags: DoctorFlags) => {
      const options = {
        spoolDir: flags.spoolDir,
        keepMonths:
          flags.keepMonths === undefined ? undefined : parseNumberArgument('--keep-months', flags.keepMonths),
        minHorizonDays: parseNumberArgument('--min-horizon-days', flags.minHorizonDays),
      }
      const diagnosis = await withDatabase(context, flags, connectionString =>
        diagnose({ connectionString, ...options }),
      )
      if (flags.json) writeJsonLines(context.stdout, [diagnosis])
      else writeDiagnosis(context.stdout, diagnosis)
      context.exitCode = exitCodeOf(diagnosis)
    })
}

function exitCodeOf({ checks }: Diagnosis): ExitCode {
  if (checks.some(({ status }) => status === 'finding')) return EXIT_CODE.findings
  return checks.some(({ status }) => status === 'unchecked') ? EXIT_CODE.failed : EXIT_CODE.done
}

function writeDiagnosis(output: TextOutput, { serverVersion, checks }: Diagnosis): void {
  output.write(`PostgreSQL ${printable(serverVersion)}\n\n`)
  writeTable(output, checks, [
    { title: 'CHECK', value: check => check.name },
    { title: 'STATUS', value: check => check.status },
    { title: 'MESSAGE', value: check => check.message },
  ])
  for (const finding of checks.flatMap(check => check.findings)) writeFinding(output, finding)
}

function writeFinding(output: TextOutput, { name, subject, message, mend }: Finding): void {
  output.write(`\n${name}${subject === null ? '' : `: ${printable(subject)}`}\n`)
  output.write(`  ${printable(message)}\n`)
  for (const line of mend.split('\n')) output.write(`    ${printable(line)}\n`)
}
