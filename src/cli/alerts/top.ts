import type { Command } from 'commander'
import { DEFAULT_TOP_LIMIT } from '../../alerts/counts/top-alerts.ts'
import { parseOneOf } from '../../model/input.ts'
import type { CommandContext } from '../command-context.ts'
import { databaseCommand, withStore } from '../database.ts'
import { parseNumberArgument } from '../number-argument.ts'
import { grouped, writeJsonLines, writeTable } from '../output.ts'
import { addCountFlags, type CountFlags, parseCountFlags } from './count-flags.ts'

const KINDS = ['hosts', 'rules'] as const

interface TopFlags extends CountFlags {
  readonly limit: string
}

export function topAlertsCommand(context: CommandContext): Command {
  return addCountFlags(databaseCommand('top'))
    .description('the hosts or the rules with the most alerts, exactly')
    .argument('[of]', KINDS.join(' or '), 'hosts')
    .option('--limit <n>', 'how many', String(DEFAULT_TOP_LIMIT))
    .action(async (of: string, flags: TopFlags) => {
      const kind = parseOneOf('of', of, KINDS)
      const query = { ...parseCountFlags(flags), limit: parseNumberArgument('--limit', flags.limit) }
      const { signal } = context
      await withStore(context, flags, async store => {
        if (kind === 'rules') {
          const rules = await store.topAlertRules(query, { signal })
          if (flags.json) return writeJsonLines(context.stdout, rules)
          return writeTable(context.stdout, rules, [
            { title: 'ALERTS', value: each => grouped(each.alerts) },
            { title: 'RULE', value: each => each.ruleName },
          ])
        }
        const hosts = await store.topAlertHosts(query, { signal })
        if (flags.json) return writeJsonLines(context.stdout, hosts)
        const names = new Map((await store.listHosts({ signal })).map(host => [host.hostId, host.hostname]))
        writeTable(context.stdout, hosts, [
          { title: 'ALERTS', value: each => grouped(each.alerts) },
          { title: 'HOST', value: each => names.get(each.hostId) ?? each.hostId },
        ])
      })
    })
}
