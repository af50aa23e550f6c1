import { Command } from 'commander'
import { NotFoundError } from '../errors.ts'
import { SEVERITY_LEVELS, TRIPWIRE_TYPES } from '../model/alert.ts'
import { parseOneOf } from '../model/input.ts'
import type { TripwireRule } from '../model/rule.ts'
import type { CommandContext } from './command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from './database.ts'
import { findHostId } from './find-host.ts'
import { writeJsonLines, writeTable } from './output.ts'

interface RulesFlags extends DatabaseFlags {
  readonly host?: string
  readonly json?: boolean
}

interface ChangeFlags extends RulesFlags {
  readonly actor?: string
}

interface AddFlags extends ChangeFlags {
  readonly type: string
  readonly severity: string
  readonly disabled?: boolean
}

const ACTOR_HELP = 'who makes the change: it is appended to the audit log'

export function rulesCommand(context: CommandContext): Command {
  return new Command('rules')
    .description('list or change the tripwire rules')
    .addCommand(listCommand(context), { isDefault: true })
    .addCommand(addCommand(context))
    .addCommand(switchCommand(context, 'enable', true))
    .addCommand(switchCommand(context, 'disable', false))
    .addCommand(removeCommand(context))
}

function listCommand(context: CommandContext): Command {
  return databaseCommand('list')
    .description('list the tripwire rules (the default)')
    .option('--host <name-or-id>', 'the rules of one host, and the global ones')
    .option('--json', 'one JSON object a line')
    .action(async (flags: RulesFlags) => {
      await withStore(context, flags, async store => {
        const hostId = flags.host === undefined ? undefined : await findHostId(store, flags.host)
        const rules = await store.listRules(hostId)
        if (flags.json) return writeJsonLines(context.stdout, rules)
        const hosts = new Map((await store.listHosts()).map(host => [host.hostId, host.hostname]))
        writeTable(context.stdout, rules, [
          { title: 'HOST', value: rule => (rule.hostId === null ? '(all)' : hosts.get(rule.hostId)) },
          { title: 'TYPE', value: rule => rule.ruleType },
          { title: 'SEVERITY', value: rule => rule.severity },
          { title: 'STATE', value: rule => (rule.enabled ? 'enabled' : 'disabled') },
          { title: 'TARGET', value: rule => rule.target },
          { title: 'ID', value: rule => rule.ruleId },
        ])
      })
    })
}

function addCommand(context: CommandContext): Command {
  return databaseCommand('add')
    .description('add a rule; prints its id')
    .argument('<target>', 'the path, port or process to watch')
    .requiredOption('--type <type>', TRIPWIRE_TYPES.join(', '))
    .option('--severity <level>', SEVERITY_LEVELS.join(', '), 'WARN')
    .option('--host <name-or-id>', 'for one host; without it, for all')
    .option('--disabled', 'do not watch yet')
    .option('--actor <name>', ACTOR_HELP)
    .option('--json', 'one JSON object')
    .action(async (target: string, flags: AddFlags) => {
      const rule = {
        target,
        ruleType: parseOneOf('--type', flags.type.toUpperCase(), TRIPWIRE_TYPES),
        severity: parseOneOf('--severity', flags.severity.toUpperCase(), SEVERITY_LEVELS),
        enabled: !flags.disabled,
      }
      await withStore(context, flags, async store => {
        const hostId = flags.host === undefined ? null : await findHostId(store, flags.host)
        printRule(context, flags, await store.createRule({ ...rule, hostId }, { actor: flags.actor }))
      })
    })
}

function switchCommand(context: CommandContext, name: 'enable' | 'disable', enabled: boolean): Command {
  return databaseCommand(name)
    .description(`${name} a rule`)
    .argument('<rule-id>')
    .option('--actor <name>', ACTOR_HELP)
    .option('--json', 'one JSON object')
    .action(async (ruleId: string, flags: ChangeFlags) => {
      await withStore(context, flags, async store => {
        const rule = await store.getRule(ruleId)
        if (!rule) throw new NotFoundError('rule', ruleId)
        const { hostId, ruleType, target, severity } = rule
        printRule(
          context,
          flags,
          await store.updateRule(
            { ruleId, hostId, ruleType, target, severity, enabled },
            { actor: flags.actor },
          ),
        )
      })
    })
}

function removeCommand(context: CommandContext): Command {
  return databaseCommand('remove')
    .description('remove a rule')
    .argument('<rule-id>')
    .option('--actor <name>', ACTOR_HELP)
    .action(async (ruleId: string, flags: ChangeFlags) => {
      await withStore(context, flags, async store => {
        if (!(await store.deleteRule(ruleId, { actor: flags.actor }))) throw new NotFoundError('rule', ruleId)
      })
    })
}

function printRule(context: CommandContext, flags: RulesFlags, rule: TripwireRule): void {
  if (flags.json) writeJsonLines(context.stdout, [rule])
  else context.stdout.write(`${rule.ruleId}\n`)
}
