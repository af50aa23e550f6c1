import type { Command } from 'commander'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { grouped, writeJsonLines } from '../output.ts'

interface RestoreFlags extends DatabaseFlags {
  readonly json?: boolean
}

export function restoreCommand(context: CommandContext): Command {
  return databaseCommand('restore')
    .description('bring a month back from its archive, the same rows byte for byte')
    .argument('<manifest>', "the archive's manifest, such as alerts_y2025m01.manifest.json")
    .option('--json', 'the result as one JSON object')
    .action(async (manifest: string, flags: RestoreFlags) => {
      const restored = await withStore(context, flags, store => store.restorePartition(manifest))
      if (flags.json) writeJsonLines(context.stdout, [restored])
      else context.stdout.write(`${restored.partition}  ${grouped(restored.rows)} alerts are back\n`)
    })
}
