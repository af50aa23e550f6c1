import type { Command } from 'commander'
import { InvalidInputError } from '../../errors.ts'
import type { AlertCountCheck, AlertRollUp } from '../../model/alert-counts.ts'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { EXIT_CODE } from '../exit-code.ts'
import { grouped, writeJsonLines, writeTable } from '../output.ts'
import { parseTimeArgument, TIME_HELP } from '../time-argument.ts'

interface CountsFlags extends DatabaseFlags {
  readonly check?: boolean
  readonly rebuild?: boolean
  readonly from?: string
  readonly to?: string
  readonly json?: boolean
}

/** Of `2026-03-10T10:00:00.000000Z`. */
const MINUTE_LENGTH = 16

export function alertCountsCommand(context: CommandContext): Command {
  return databaseCommand('counts')
    .description(
      'the counts that timelines are made from: count what is due, or check them against the alerts',
    )
    .option(
      '--check',
      'count the alerts of all counted hours again, and compare; ends with 3 when something differs',
    )
    .option('--rebuild', 'the same, and count anew what differs')
    .option('--from <time>', `with --check or --rebuild, look at no earlier hours: ${TIME_HELP}`)
    .option('--to <time>', 'with --check or --rebuild, look at no later hours')
    .option('--json', 'one JSON object')
    .action(async (flags: CountsFlags) => {
      const span = {
        from: parseCheckTime('--from', flags.from, flags),
        to: parseCheckTime('--to', flags.to, flags),
      }
      const { signal, stdout } = context
      await withStore(context, flags, async store => {
        if (!isCheck(flags)) {
          const done = await store.rollUpAlertCounts({ signal })
          return flags.json ? writeJsonLines(stdout, [done]) : writeRollUp(context, done)
        }
        const check = await store.checkAlertCounts({ ...span, reopen: flags.rebuild ?? false }, { signal })
        if (flags.json) writeJsonLines(stdout, [check])
        else writeCheck(context, check)
        if (check.wrongHours > 0) context.exitCode = EXIT_CODE.findings
        if (check.reopenedHours === 0) return
        const done = await store.rollUpAlertCounts({ signal })
        if (!flags.json) writeRollUp(context, done)
      })
    })
}

function isCheck({ check, rebuild }: CountsFlags): boolean {
  return check === true || rebuild === true
}

/** @throws InvalidInputError also where nothing is checked: counting goes by what is due alone. */
function parseCheckTime(name: string, text: string | undefined, flags: CountsFlags): string | undefined {
  if (text === undefined) return undefined
  if (!isCheck(flags)) throw new InvalidInputError(name, text, '--check or --rebuild beside it')
  return parseTimeArgument(name, text)
}

function writeRollUp({ stdout }: CommandContext, done: AlertRollUp): void {
  const { closedHours, forgottenHours, mergedHours, settledThrough, state } = done
  stdout.write(
    `${grouped(closedHours)} hours counted, ${grouped(forgottenHours)} forgotten, ${grouped(mergedHours)} merged\n`,
  )
  stdout.write(`${describeState(state)}; counted through ${settledThrough.slice(0, MINUTE_LENGTH)}\n`)
}

function describeState(state: AlertRollUp['state']): string {
  if (state === 'done') return 'nothing is left to count'
  if (state === 'busy') return 'another one is at work'
  if (state === 'waiting') return 'the newest hours wait for transactions that are older'
  return 'the time was over; the next run goes on'
}

function writeCheck({ stdout }: CommandContext, check: AlertCountCheck): void {
  const { hours, wrongHours, reopenedHours, findings } = check
  stdout.write(
    `${grouped(hours)} hours checked, ${wrongHours === 0 ? 'all are right' : `${grouped(wrongHours)} are wrong`}\n`,
  )
  if (findings.length === 0) return
  stdout.write('\n')
  writeTable(stdout, findings, [
    { title: 'HOUR', value: each => each.hour.slice(0, MINUTE_LENGTH) },
    { title: 'OF', value: each => each.dimension },
    { title: 'VALUE', value: each => each.value },
    { title: 'SEVERITY', value: each => each.severity },
    { title: 'COUNTED', value: each => grouped(each.counted) },
    { title: 'FOUND', value: each => grouped(each.found) },
  ])
  stdout.write(
    reopenedHours > 0
      ? `\n${grouped(reopenedHours)} hours are open again: timelines read them until they are counted anew\n`
      : '\ncount them anew with: tripwire-storage alerts counts --rebuild\n',
  )
}
