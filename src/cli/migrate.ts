import { Command } from 'commander'
import {
  type AppliedMigration,
  type MigrationStatus,
  migrateDown,
  migrateUp,
  migrationStatus,
  planMigrateUp,
} from '../migrate/migrate.ts'
import type { CommandContext } from './command-context.ts'
import { type DatabaseFlags, databaseCommand, withDatabase } from './database.ts'
import { parseNumberArgument } from './number-argument.ts'
import { writeJsonLines, writeTable } from './output.ts'

interface MigrateFlags extends DatabaseFlags {
  readonly json?: boolean
  readonly dryRun?: boolean
  readonly allowDataLoss?: boolean
}

export function migrateCommand(context: CommandContext): Command {
  return new Command('migrate')
    .description('bring the schema up to date, undo steps, or show where it stands')
    .addCommand(upCommand(context))
    .addCommand(downCommand(context))
    .addCommand(statusCommand(context))
}

function upCommand(context: CommandContext): Command {
  return databaseCommand('up')
    .description('apply the migrations that are missing, or the next N')
    .argument('[n]', 'how many')
    .option('--dry-run', 'print the SQL and change nothing')
    .option('--json', 'one JSON object a line')
    .action(async (n: string | undefined, flags: MigrateFlags) => {
      const steps = n === undefined ? undefined : parseNumberArgument('n', n)
      await withDatabase(context, flags, async connectionString => {
        if (flags.dryRun) context.stdout.write(await planMigrateUp({ connectionString, steps }))
        else report(context, flags, 'applied', await migrateUp({ connectionString, steps }))
      })
    })
}

function downCommand(context: CommandContext): Command {
  return databaseCommand('down')
    .description('undo the newest N migrations')
    .argument('<n>', 'how many')
    .option('--allow-data-loss', 'also drop tables that hold rows')
    .option('--json', 'one JSON object a line')
    .action(async (n: string, flags: MigrateFlags) => {
      const steps = parseNumberArgument('n', n)
      const allowDataLoss = flags.allowDataLoss ?? false
      await withDatabase(context, flags, async connectionString =>
        report(context, flags, 'undone', await migrateDown({ connectionString, steps, allowDataLoss })),
      )
    })
}

function statusCommand(context: CommandContext): Command {
  return databaseCommand('status')
    .description('show which migrations are applied')
    .option('--json', 'one JSON object')
    .action(async (flags: MigrateFlags) => {
      await withDatabase(context, flags, async connectionString => {
        const status = await migrationStatus({ connectionString })
        if (flags.json) return writeJsonLines(context.stdout, [status])
        writeStatus(context, status)
      })
    })
}

function writeStatus(
  { stdout }: CommandContext,
  { version, dirty, unrecorded, migrations }: MigrationStatus,
): void {
  stdout.write(`version ${version}${dirty ? ', dirty' : ''}\n`)
  if (unrecorded) {
    const verdict =
      unrecorded.differences.length === 0 ? 'migrate up will adopt them' : 'migrate up will refuse them'
    stdout.write(`tables of version ${unrecorded.version} stand there without a record: ${verdict}\n`)
    for (const { object, expected, found } of unrecorded.differences) {
      stdout.write(`  ${object}: expected ${expected}, found ${found}\n`)
    }
  }
  stdout.write('\n')
  writeTable(stdout, migrations, [
    { title: 'VERSION', value: migration => migration.version },
    { title: 'NAME', value: migration => migration.name },
    {
      title: 'STATE',
      value: migration => {
        if (migration.applied) return 'applied'
        return migration.version <= (unrecorded?.version ?? 0) ? 'not recorded' : 'missing'
      },
    },
  ])
}

function report(
  context: CommandContext,
  flags: MigrateFlags,
  verb: string,
  migrations: readonly AppliedMigration[],
): void {
  if (flags.json) {
    writeJsonLines(context.stdout, migrations)
    return
  }
  for (const { version, name, durationMs, wasAdopted, warnings } of migrations) {
    context.stdout.write(
      wasAdopted
        ? `adopted ${version} ${name}: its tables stood there already\n`
        : `${verb} ${version} ${name} (${durationMs.toFixed(0)} ms)\n`,
    )
    for (const warning of warnings) context.stderr.write(`warning: ${warning}\n`)
  }
  if (migrations.length === 0) context.stdout.write('nothing to do\n')
}
