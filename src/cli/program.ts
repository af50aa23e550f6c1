import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { alertsCommand } from './alerts.ts'
import { auditCommand } from './audit.ts'
import type { CommandContext } from './command-context.ts'
import { deadLettersCommand } from './dead-letters.ts'
import { demoCommand } from './demo.ts'
import { doctorCommand } from './doctor.ts'
import { EXIT_CODE_HELP } from './exit-code.ts'
import { hostsCommand } from './hosts.ts'
import { ingestCommand } from './ingest.ts'
import { migrateCommand } from './migrate.ts'
import { partitionsCommand } from './partitions.ts'
import { rulesCommand } from './rules.ts'

const DESCRIPTION = `The storage layer of the TripWire dashboard server: hosts, alerts, rules and an audit log on PostgreSQL.

Without a database URL the command runs a PostgreSQL of its own, with its data in .tripwire/.`

/** Builds the command with all its subcommands. Errors of usage are thrown, not exits. */
export function buildProgram(context: CommandContext): Command {
  const program = new Command('tripwire-storage')
    .description(DESCRIPTION)
    .version(packageVersion(), '-V, --version', 'print the version')
    .addHelpText('after', EXIT_CODE_HELP)
    .exitOverride()
    .configureOutput({
      writeOut: text => context.stdout.write(text),
      writeErr: text => context.stderr.write(text),
    })
  for (const build of [
    migrateCommand,
    ingestCommand,
    alertsCommand,
    partitionsCommand,
    deadLettersCommand,
    hostsCommand,
    rulesCommand,
    auditCommand,
    doctorCommand,
    demoCommand,
  ]) {
    program.addCommand(inherit(build(context), program))
  }
  return program
}

/** Commander does not hand these settings down to commands that were built apart. */
function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent).addHelpText('after', EXIT_CODE_HELP)
  for (const child of command.commands) inherit(child, command)
  return command
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : ''
  return String(version)
}
