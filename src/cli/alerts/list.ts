import type { Command } from 'commander'
import { InvalidInputError } from '../../errors.ts'
import type { CommandContext } from '../command-context.ts'
import { databaseCommand, withStore } from '../database.ts'
import { parseNumberArgument } from '../number-argument.ts'
import { writeJsonLines, writeTable } from '../output.ts'
import { alertJson } from './alert-json.ts'
import { addSpanFlags, continuation, findHostIds, parseSpanFlags, type SpanFlags } from './filter-flags.ts'
import { AFTER_HELP, followAlerts } from './follow.ts'

interface ListFlags extends SpanFlags {
  readonly oldest?: boolean
  readonly limit: string
  readonly offset: string
  readonly json?: boolean
  readonly follow?: boolean
  readonly after?: string
}

/** What says which page of the past is meant, and so cannot stand beside `--follow`. */
const PAGE_FLAGS = [
  'from',
  'to',
  'timestampFrom',
  'timestampTo',
  'cursor',
  'oldest',
  'limit',
  'offset',
] as const

export function listCommand(context: CommandContext): Command {
  return addSpanFlags(databaseCommand('list'), '-24h')
    .description('list alerts, newest first (the default)')
    .option('--oldest', 'oldest first')
    .option('--limit <n>', 'how many', '50')
    .option('--offset <n>', 'how many of the first to pass over', '0')
    .option('--json', 'one JSON object a line')
    .option(
      '--follow',
      'print alerts as they are committed, until it is stopped; tells at the end where to go on',
    )
    .option('--after <token-or-time>', AFTER_HELP)
    .action(async (flags: ListFlags, command: Command) => {
      if (flags.follow) {
        refuseBesideFollow(command)
        return followAlerts(context, flags)
      }
      if (flags.after !== undefined) throw new InvalidInputError('--after', flags.after, '--follow beside it')
      const query = {
        ...parseSpanFlags(flags, flags.oldest ? 'oldest' : 'newest'),
        limit: parseNumberArgument('--limit', flags.limit),
        offset: parseNumberArgument('--offset', flags.offset),
      }
      await withStore(context, flags, async store => {
        const hostId = await findHostIds(store, flags)
        const { signal } = context
        const { alerts, nextCursor } = await store.queryAlerts({ ...query, hostId }, { signal })
        if (flags.json) writeJsonLines(context.stdout, alerts.map(alertJson))
        else {
          const hosts = new Map((await store.listHosts()).map(host => [host.hostId, host.hostname]))
          writeTable(context.stdout, alerts, [
            { title: 'RECEIVED', value: alert => alert.receivedAt },
            { title: 'SEVERITY', value: alert => alert.severity },
            { title: 'TYPE', value: alert => alert.tripwireType },
            { title: 'HOST', value: alert => hosts.get(alert.hostId) ?? alert.hostId },
            { title: 'RULE', value: alert => alert.ruleName },
            { title: 'ID', value: alert => alert.alertId },
          ])
        }
        if (nextCursor !== null) {
          context.stderr.write(`there are more; go on with: ${continuation(query, nextCursor)}\n`)
        }
      })
    })
}

function refuseBesideFollow(command: Command): void {
  for (const name of PAGE_FLAGS) {
    if (command.getOptionValueSource(name) !== 'cli') continue
    throw new InvalidInputError(
      '--follow',
      name,
      'no flag beside it that chooses a page; --after says where to begin',
    )
  }
}
