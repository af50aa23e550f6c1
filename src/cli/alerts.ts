import type { Command } from 'commander'
import type { Alert } from '../model/alert.ts'
import { SEVERITY_LEVELS } from '../model/alert.ts'
import { parseOneOf } from '../model/input.ts'
import type { CommandContext } from './command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from './database.ts'
import { findHostId } from './find-host.ts'
import { parseNumberArgument } from './number-argument.ts'
import { writeJsonLines, writeTable } from './output.ts'
import { parseTimeArgument, TIME_HELP } from './time-argument.ts'

interface AlertsFlags extends DatabaseFlags {
  readonly from: string
  readonly to: string
  readonly host?: string
  readonly severity?: string
  readonly limit: string
  readonly offset: string
  readonly json?: boolean
}

export function alertsCommand(context: CommandContext): Command {
  return databaseCommand('alerts')
    .description('list alerts, newest first')
    .option('--from <time>', `first moment: ${TIME_HELP}`, '-24h')
    .option('--to <time>', 'first moment that is not included any more', 'now')
    .option('--host <name-or-id>', 'of one host')
    .option('--severity <level>', SEVERITY_LEVELS.join(', '))
    .option('--limit <n>', 'how many', '50')
    .option('--offset <n>', 'how many of the newest to pass over', '0')
    .option('--json', 'one JSON object a line')
    .action(async (flags: AlertsFlags) => {
      const query = {
        from: parseTimeArgument('--from', flags.from),
        to: parseTimeArgument('--to', flags.to),
        severity: flags.severity === undefined ? undefined : parseSeverity(flags.severity),
        limit: parseNumberArgument('--limit', flags.limit),
        offset: parseNumberArgument('--offset', flags.offset),
      }
      await withStore(context, flags, async store => {
        const hostId = flags.host === undefined ? undefined : await findHostId(store, flags.host)
        const { alerts } = await store.queryAlerts({ ...query, hostId })
        if (flags.json) return writeJsonLines(context.stdout, alerts.map(toJson))
        const hosts = new Map((await store.listHosts()).map(host => [host.hostId, host.hostname]))
        writeTable(context.stdout, alerts, [
          { title: 'RECEIVED', value: alert => alert.receivedAt },
          { title: 'SEVERITY', value: alert => alert.severity },
          { title: 'TYPE', value: alert => alert.tripwireType },
          { title: 'HOST', value: alert => hosts.get(alert.hostId) ?? alert.hostId },
          { title: 'RULE', value: alert => alert.ruleName },
          { title: 'ID', value: alert => alert.alertId },
        ])
      })
    })
}

function parseSeverity(text: string) {
  return parseOneOf('--severity', text.toUpperCase(), SEVERITY_LEVELS)
}

/** SQL NULL leaves the member out, so that JSON null can be told from it. `ingest` reads it in the same way. */
function toJson(alert: Alert): object {
  return { ...alert, eventDetail: alert.eventDetail ?? undefined }
}
