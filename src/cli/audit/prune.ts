import type { Command } from 'commander'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { findHostId } from '../find-host.ts'
import { grouped, writeJsonLines } from '../output.ts'

interface PruneFlags extends DatabaseFlags {
  readonly host: string
  readonly bundle: string
  readonly key: string
  readonly actor: string
  readonly json?: boolean
}

export function pruneCommand(context: CommandContext): Command {
  return databaseCommand('prune')
    .description('delete the oldest entries of a host that a bundle holds; the chain stays verifiable')
    .requiredOption('--host <name-or-id>', 'whose chain')
    .requiredOption('--bundle <file>', 'a bundle that holds them, from the first one that is left')
    .requiredOption(
      '--key <file>',
      "the private key that signed the bundle's checkpoint; it signs the manifest",
    )
    .requiredOption('--actor <name>', 'who does it; it stands in the audit log')
    .option('--json', 'the result as one JSON object')
    .action(async (flags: PruneFlags) => {
      const { bundle, key, actor } = flags
      const { signal } = context
      const pruning = await withStore(context, flags, async store =>
        store.pruneAuditChain({ hostId: await findHostId(store, flags.host), bundle, key, actor, signal }),
      )
      if (flags.json) return writeJsonLines(context.stdout, [pruning])
      const { firstSequence, throughSequence, entries, recordedAs } = pruning
      context.stdout.write(
        `entries ${firstSequence} to ${throughSequence} (${grouped(entries)}) are deleted; entry ${recordedAs} says so\n`,
      )
    })
}
