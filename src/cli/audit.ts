import { Command } from 'commander'
import { checkpointCommand } from './audit/checkpoint.ts'
import { keygenCommand } from './audit/keygen.ts'
import { listCommand } from './audit/list.ts'
import { verifyCommand } from './audit/verify.ts'
import type { CommandContext } from './command-context.ts'

export function auditCommand(context: CommandContext): Command {
  return new Command('audit')
    .description('read the audit log, verify it, and sign checkpoints of it')
    .addCommand(listCommand(context))
    .addCommand(verifyCommand(context))
    .addCommand(keygenCommand(context))
    .addCommand(checkpointCommand(context))
}
