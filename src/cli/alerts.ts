import { Command } from 'commander'
import { alertCountsCommand } from './alerts/counts.ts'
import { exportCommand } from './alerts/export.ts'
import { listCommand } from './alerts/list.ts'
import { showCommand } from './alerts/show.ts'
import { alertTimelineCommand } from './alerts/timeline.ts'
import { topAlertsCommand } from './alerts/top.ts'
import type { CommandContext } from './command-context.ts'

export function alertsCommand(context: CommandContext): Command {
  return new Command('alerts')
    .description('list alerts, show one, count and export them')
    .addCommand(listCommand(context), { isDefault: true })
    .addCommand(showCommand(context))
    .addCommand(exportCommand(context))
    .addCommand(alertTimelineCommand(context))
    .addCommand(topAlertsCommand(context))
    .addCommand(alertCountsCommand(context))
}
