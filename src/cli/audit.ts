import { Command } from 'commander'
import { checkpointCommand } from './audit/checkpoint.ts'
import { exportCommand } from './audit/export.ts'
import { keygenCommand } from './audit/keygen.ts'
import { listCommand } from './audit/list.ts'
import { pruneCommand } from './audit/prune.ts'
import { verifyCommand } from './audit/verify.ts'
import { verifyBundleCommand } from './audit/verify-bundle.ts'
import type { CommandContext } from './command-context.ts'

export function auditCommand(context: CommandContext): Command {
  return new Command('audit')
    .description('read the audit log, verify it, sign checkpoints of it, export evidence and prune')
    .addCommand(listCommand(context))
    .addCommand(verifyCommand(context))
    .addCommand(keygenCommand(context))
    .addCommand(checkpointCommand(context))
    .addCommand(exportCommand(context))
    .addCommand(verifyBundleCommand(context))
    .addCommand(pruneCommand(context))
}
