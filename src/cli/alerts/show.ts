import type { Command } from 'commander'
import { NotFoundError } from '../../errors.ts'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { findHostId } from '../find-host.ts'
import { printable, writeJsonLines } from '../output.ts'
import { alertJson } from './alert-json.ts'

interface ShowFlags extends DatabaseFlags {
  readonly host?: string
  readonly json?: boolean
}

export function showCommand(context: CommandContext): Command {
  return databaseCommand('show')
    .description('show one alert with its detail; ends with 1 when there is none')
    .argument('<alert-id>', 'its id')
    .option('--host <name-or-id>', 'that of this host, where several have one with the id')
    .option('--json', 'one JSON object')
    .action(async (alertId: string, flags: ShowFlags) => {
      await withStore(context, flags, async store => {
        const hostId = flags.host === undefined ? undefined : await findHostId(store, flags.host)
        const alert = await store.getAlert(alertId, { hostId, signal: context.signal })
        if (alert === null) throw new NotFoundError('alert', alertId)
        if (flags.json) return writeJsonLines(context.stdout, [alertJson(alert)])
        const host = await store.getHost(alert.hostId)
        const lines: readonly (readonly [string, string])[] = [
          ['alert', alert.alertId],
          ['host', `${host?.hostname ?? '-'} (${alert.hostId})`],
          ['received', alert.receivedAt],
          ['seen', alert.timestamp],
          ['severity', alert.severity],
          ['type', alert.tripwireType],
          ['rule', alert.ruleName],
          ['detail', alert.eventDetail?.text ?? '-'],
        ]
        for (const [label, value] of lines) context.stdout.write(`${label.padEnd(10)}${printable(value)}\n`)
      })
    })
}
