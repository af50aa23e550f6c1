import { Command } from 'commander'
import { InvalidInputError } from '../errors.ts'
import type { DeadLetterFilter } from '../model/dead-letter.ts'
import type { Store } from '../store.ts'
import type { CommandContext } from './command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from './database.ts'
import { EXIT_CODE } from './exit-code.ts'
import { findHostId } from './find-host.ts'
import { parseNumberArgument } from './number-argument.ts'
import { grouped, writeJsonLines, writeTable } from './output.ts'

interface DeadLetterFlags extends DatabaseFlags {
  readonly host?: string
  readonly reason?: string
  readonly limit?: string
  readonly all?: boolean
  readonly json?: boolean
}

export function deadLettersCommand(context: CommandContext): Command {
  return new Command('dead-letters')
    .description('list, redrive or discard the alerts that the database refused')
    .addCommand(listCommand(context), { isDefault: true })
    .addCommand(redriveCommand(context))
    .addCommand(discardCommand(context))
}

function listCommand(context: CommandContext): Command {
  return filterCommand('list', 'list them with their reasons, oldest first (the default)')
    .option('--json', 'one JSON object a line')
    .action(async (ids: readonly string[], flags: DeadLetterFlags) => {
      await withStore(context, flags, async store => {
        const deadLetters = await store.listDeadLetters(await filterOf(store, ids, flags))
        if (flags.json) return writeJsonLines(context.stdout, deadLetters)
        writeTable(context.stdout, deadLetters, [
          { title: 'FIRST ATTEMPT', value: letter => letter.firstAttemptAt },
          { title: 'ATTEMPTS', value: letter => letter.attempts },
          { title: 'REASON', value: letter => letter.reason },
          { title: 'SQLSTATE', value: letter => letter.sqlState },
          { title: 'MESSAGE', value: letter => letter.message },
          { title: 'ID', value: letter => letter.deadLetterId },
        ])
      })
    })
}

function redriveCommand(context: CommandContext): Command {
  return filterCommand('redrive', 'hand them in again; ends with 1 when some are refused again')
    .option('--json', 'the counts as one JSON object')
    .action(async (ids: readonly string[], flags: DeadLetterFlags) => {
      await withStore(context, flags, async store => {
        const report = await store.redriveDeadLetters(await filterOf(store, ids, flags))
        if (flags.json) writeJsonLines(context.stdout, [report])
        else {
          const { stored, duplicate, refused } = report
          context.stdout.write(
            `${grouped(stored)} stored, ${grouped(duplicate)} stored before, ${grouped(refused)} refused again\n`,
          )
        }
        if (report.refused > 0) context.exitCode = EXIT_CODE.failed
      })
    })
}

function discardCommand(context: CommandContext): Command {
  return filterCommand('discard', 'delete them for good')
    .option('--all', 'without naming any')
    .option('--json', 'the count as a JSON object')
    .action(async (ids: readonly string[], flags: DeadLetterFlags) => {
      if (ids.length === 0 && !flags.host && !flags.reason && !flags.all) {
        throw new InvalidInputError('dead-letter-id', undefined, 'ids, --host, --reason or --all')
      }
      await withStore(context, flags, async store => {
        const discarded = await store.discardDeadLetters(await filterOf(store, ids, flags))
        if (flags.json) writeJsonLines(context.stdout, [{ discarded }])
        else context.stdout.write(`${grouped(discarded)} discarded\n`)
      })
    })
}

function filterCommand(name: string, description: string): Command {
  return databaseCommand(name)
    .description(description)
    .argument('[dead-letter-id...]', 'only these')
    .option('--host <name-or-id>', 'of one host')
    .option('--reason <code>', 'of one reason, such as UNKNOWN_HOST')
    .option('--limit <n>', 'how many at the most')
}

async function filterOf(
  store: Store,
  ids: readonly string[],
  flags: DeadLetterFlags,
): Promise<DeadLetterFilter> {
  return {
    deadLetterIds: ids.length > 0 ? ids : undefined,
    hostId: flags.host === undefined ? undefined : await hostIdOf(store, flags.host),
    reason: flags.reason?.toUpperCase(),
    limit: flags.limit === undefined ? undefined : parseNumberArgument('--limit', flags.limit),
  }
}

const UUID_LENGTH = 36

/** An unknown host is a usual reason for a dead letter, so an id is taken as it is. */
async function hostIdOf(store: Store, nameOrId: string): Promise<string> {
  return nameOrId.length === UUID_LENGTH ? nameOrId : findHostId(store, nameOrId)
}
