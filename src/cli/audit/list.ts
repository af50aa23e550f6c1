import type { Command } from 'commander'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { findHostId } from '../find-host.ts'
import { writeJsonLines, writeTable } from '../output.ts'
import { parseTimeArgument, TIME_HELP } from '../time-argument.ts'

interface ListFlags extends DatabaseFlags {
  readonly host: string
  readonly from?: string
  readonly to?: string
  readonly json?: boolean
}

const SHOWN_HASH_DIGITS = 16

export function listCommand(context: CommandContext): Command {
  return databaseCommand('list')
    .description("list a host's audit entries, in the order of the chain")
    .requiredOption('--host <name-or-id>')
    .option('--from <time>', `first moment: ${TIME_HELP}`)
    .option('--to <time>', 'first moment that is not included any more')
    .option('--json', 'one JSON object a line')
    .action(async (flags: ListFlags) => {
      const from = flags.from === undefined ? undefined : parseTimeArgument('--from', flags.from)
      const to = flags.to === undefined ? undefined : parseTimeArgument('--to', flags.to)
      await withStore(context, flags, async store => {
        const hostId = await findHostId(store, flags.host)
        const entries = await store.queryAuditEntries({ hostId, from, to })
        if (flags.json) return writeJsonLines(context.stdout, entries)
        writeTable(context.stdout, entries, [
          { title: 'SEQUENCE', value: entry => entry.sequenceNum },
          { title: 'CREATED', value: entry => entry.createdAt },
          { title: 'PREVIOUS', value: entry => entry.prevHash.slice(0, SHOWN_HASH_DIGITS) },
          { title: 'HASH', value: entry => entry.eventHash.slice(0, SHOWN_HASH_DIGITS) },
          { title: 'PAYLOAD', value: entry => entry.payload.text },
        ])
      })
    })
}
