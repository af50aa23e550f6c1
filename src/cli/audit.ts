import { Command } from 'commander'
import { listCommand } from './audit/list.ts'
import type { CommandContext } from './command-context.ts'

export function auditCommand(context: CommandContext): Command {
  return new Command('audit').description('read the audit log').addCommand(listCommand(context))
}
