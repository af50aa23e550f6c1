import type { Command } from 'commander'
import type { CommandContext } from './command-context.ts'
import { type DatabaseFlags, DEFAULT_DATA_DIR, databaseCommand, withStore } from './database.ts'
import { insertDemoAlerts } from './demo/demo-alerts.ts'
import { appendDemoAudit } from './demo/demo-audit.ts'
import { registerDemoHosts, registerDemoRules } from './demo/demo-hosts.ts'
import { showDemoQueries } from './demo/demo-queries.ts'

const DESCRIPTION =
  'fill a database with hosts, rules, alerts and an audit chain, and show what can be asked of it'

export function demoCommand(context: CommandContext): Command {
  return databaseCommand('demo')
    .description(DESCRIPTION)
    .action(async (flags: DatabaseFlags) => {
      const say = (line = '') => context.stdout.write(`${line}\n`)
      await withStore(context, flags, async store => {
        const hosts = await registerDemoHosts(store, say)
        await registerDemoRules(store, hosts, say)
        await insertDemoAlerts(store, hosts, say)
        await showDemoQueries(store, hosts, context.stdout)
        await appendDemoAudit(store, hosts, say)
      })
      sayWhatNext(context, flags)
    })
}

function sayWhatNext(context: CommandContext, flags: DatabaseFlags): void {
  const command = context.env['npm_lifecycle_event'] === undefined ? 'tripwire-storage' : 'npm run cli --'
  const where = flags.databaseUrl ? ' --database-url URL' : whereDataIs(flags.dataDir)
  context.stdout.write(`
Look further:
  ${command} alerts --severity CRITICAL --from -1h${where}
  ${command} alerts --host web-1 --json --limit 3${where}
  ${command} rules --host db-1${where}
  ${command} audit list --host web-1${where}
  ${command} audit verify${where}
  ${command} ingest --format sysmon FILE${where}
Run the demo again, and it goes on with the same data.
`)
}

function whereDataIs(dataDir: string): string {
  return dataDir === DEFAULT_DATA_DIR ? '' : ` --data-dir ${dataDir}`
}
