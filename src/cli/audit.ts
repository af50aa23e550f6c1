import { Command } from 'commander'
import { checkpointCommand } from './audit/checkpoint.ts'
import { keygenCommand } from './audit/keygen.ts'
import { listCommand } from './audit/list.ts'
import type { CommandContext } from './command-context.ts'

export function auditCommand(context: CommandContext): Command {
  return new Command('audit')
    .description('read the audit log, and sign checkpoints of it')
    .addCommand(listCommand(context))
    .addCommand(keygenCommand(context))
    .addCommand(checkpointCommand(context))
}
