import { Command } from 'commander'
import type { AlertPartition } from '../model/partition.ts'
import { DEFAULT_MONTHS_AHEAD } from '../partitions/ensure-partitions.ts'
import { formatBytes } from './bytes-argument.ts'
import type { CommandContext } from './command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from './database.ts'
import { parseNumberArgument } from './number-argument.ts'
import { grouped, writeJsonLines, writeTable } from './output.ts'
import { indexDetailsCommand } from './partitions/index-details.ts'
import { mendCommand } from './partitions/mend.ts'
import { restoreCommand } from './partitions/restore.ts'
import { retainCommand } from './partitions/retain.ts'

interface PartitionsFlags extends DatabaseFlags {
  readonly json?: boolean
  readonly monthsAhead: string
}

export function partitionsCommand(context: CommandContext): Command {
  return new Command('partitions')
    .description('the months of alerts: list, make, retire, restore, mend and index them')
    .addCommand(listCommand(context), { isDefault: true })
    .addCommand(ensureCommand(context))
    .addCommand(retainCommand(context))
    .addCommand(restoreCommand(context))
    .addCommand(mendCommand(context))
    .addCommand(indexDetailsCommand(context))
}

function listCommand(context: CommandContext): Command {
  return databaseCommand('list')
    .description('list them, oldest first (the default); rows are an estimate')
    .option('--json', 'one JSON object a line')
    .action(async (flags: PartitionsFlags) => {
      const partitions = await withStore(context, flags, store => store.listPartitions())
      if (flags.json) return writeJsonLines(context.stdout, partitions)
      writeTable(context.stdout, partitions, [
        { title: 'PARTITION', value: each => each.partition },
        { title: 'MONTH', value: monthOf },
        { title: 'ROWS', value: each => `~${grouped(each.rows)}` },
        { title: 'SIZE', value: each => formatBytes(each.bytes) },
        { title: 'INDEXES', value: each => each.indexes },
        { title: 'STATE', value: describeState },
      ])
    })
}

function ensureCommand(context: CommandContext): Command {
  return databaseCommand('ensure')
    .description('make the partitions of this month and of some ahead')
    .option('--months-ahead <n>', 'how many', String(DEFAULT_MONTHS_AHEAD))
    .option('--json', 'one JSON object a line')
    .action(async (flags: PartitionsFlags) => {
      const monthsAhead = parseNumberArgument('--months-ahead', flags.monthsAhead)
      const ensured = await withStore(context, flags, store => store.ensurePartitions({ monthsAhead }))
      if (flags.json) return writeJsonLines(context.stdout, ensured)
      for (const { partition, made } of ensured) {
        context.stdout.write(`${partition}  ${made ? 'made' : 'was there'}\n`)
      }
    })
}

const MONTH_DIGITS = 7

/** `2026-02`, or the bounds where they are not those of a month. */
function monthOf({ isDefault, isMonth, from, to }: AlertPartition): string {
  if (isDefault) return 'DEFAULT'
  return isMonth && from !== null ? from.slice(0, MONTH_DIGITS) : `${from ?? '…'} to ${to ?? '…'}`
}

function describeState({ state, isComplete, isMonth, isDefault, restoredAt }: AlertPartition): string {
  return [
    state,
    ...(isComplete ? [] : ['incomplete']),
    ...(isMonth || isDefault ? [] : ['not a month']),
    ...(restoredAt === null ? [] : ['restored']),
  ].join(', ')
}
