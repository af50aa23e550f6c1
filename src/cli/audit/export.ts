import type { Command } from 'commander'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { findHostId } from '../find-host.ts'
import { grouped, writeJsonLines } from '../output.ts'
import { parseTimeArgument, TIME_HELP } from '../time-argument.ts'

interface ExportFlags extends DatabaseFlags {
  readonly host: string
  readonly from?: string
  readonly to?: string
  readonly checkpoint: string
  readonly key: string
  readonly out: string
  readonly json?: boolean
}

export function exportCommand(context: CommandContext): Command {
  return databaseCommand('export')
    .description('write entries of a host as evidence that can be verified without the database')
    .requiredOption('--host <name-or-id>', 'whose chain')
    .option('--from <time>', `first moment: ${TIME_HELP}`)
    .option('--to <time>', 'first moment that is not included any more')
    .requiredOption('--checkpoint <file>', 'a checkpoint that holds the entries')
    .requiredOption('--key <file>', 'the public key that signed the checkpoint')
    .requiredOption('--out <file>', 'where the bundle goes; nothing is written over')
    .option('--json', 'the result as one JSON object')
    .action(async (flags: ExportFlags) => {
      const { checkpoint, key, out } = flags
      const from = flags.from === undefined ? undefined : parseTimeArgument('--from', flags.from)
      const to = flags.to === undefined ? undefined : parseTimeArgument('--to', flags.to)
      const { signal } = context
      const evidence = await withStore(context, flags, async store => {
        const hostId = await findHostId(store, flags.host)
        return store.exportAuditEvidence({ hostId, from, to, checkpoint, key, out, signal })
      })
      if (flags.json) return writeJsonLines(context.stdout, [evidence])
      const { path, entries, firstSequence, lastSequence, unprotected } = evidence
      context.stdout.write(`${path}  entries ${firstSequence} to ${lastSequence} (${grouped(entries)})\n`)
      if (unprotected > 0) {
        context.stdout.write(
          `nothing protected the first ${grouped(unprotected)}: what they hold is not proven\n`,
        )
      }
    })
}
