import { InvalidInputError, TripwireStorageError } from '../errors.ts'
import { parseBoolean, parseInteger, parseObject } from '../model/input.ts'
import { Database, type QueryRunner } from '../pg/database.ts'
import { MIGRATIONS_DIR, type Migration, readMigrations } from './migration-files.ts'
import { takeMigrationLock } from './migration-lock.ts'
import {
  CREATE_VERSION_TABLE,
  checkHistory,
  createVersionTable,
  readSchemaVersion,
  VERSION_TABLE,
  writeSchemaVersion,
} from './schema-version.ts'

/** How long a migration waits for its lock, and for the locks of its statements, in milliseconds. */
export const DEFAULT_LOCK_TIMEOUT_MS = 60_000
const LONGEST_LOCK_TIMEOUT_MS = 86_400_000
const CONNECT_TIMEOUT_MS = 10_000

export interface MigrateOptions {
  /** `postgres://user:password@host:5432/database`, a role that may create tables. */
  readonly connectionString: string
  /** How many migrations to apply or to undo, from 1. `migrateUp` defaults to all; `migrateDown` needs it. */
  readonly steps?: number | undefined
  /** How long to wait for the lock, 1 to 86,400,000 ms. Defaults to 60,000. */
  readonly lockTimeoutMs?: number | undefined
  /** Lets `migrateDown` drop tables that hold rows. Defaults to false. */
  readonly allowDataLoss?: boolean | undefined
  /** A folder with other migration files. Defaults to those of the package. */
  readonly migrationsDir?: string | undefined
}

export interface AppliedMigration {
  readonly version: number
  readonly name: string
  readonly durationMs: number
}

export interface MigrationStatus {
  readonly version: number
  readonly dirty: boolean
  readonly migrations: readonly {
    readonly version: number
    readonly name: string
    readonly applied: boolean
  }[]
}

/**
 * Applies the migrations that are missing, each in a transaction of its own with its mark inside, so that a kill at any
 * moment leaves a version that is whole. Any number of processes may call it at once: each migration is applied once.
 * @returns what this call applied, in order; empty when there was nothing to do.
 * @throws TripwireStorageError with a code MIGRATION_…
 */
export async function migrateUp(options: MigrateOptions): Promise<readonly AppliedMigration[]> {
  return migrate(options, 'up')
}

/**
 * Undoes the newest `steps` migrations. Refuses to drop rows unless `allowDataLoss` is set.
 * @throws TripwireStorageError with a code MIGRATION_…
 */
export async function migrateDown(
  options: MigrateOptions & { readonly steps: number },
): Promise<readonly AppliedMigration[]> {
  return migrate(options, 'down')
}

/** Where the database stands, without changing it. */
export async function migrationStatus(options: MigrateOptions): Promise<MigrationStatus> {
  const { db, migrations } = await open(options)
  try {
    const found = await readSchemaVersion(db)
    return {
      ...found,
      migrations: migrations.map(({ version, name }) => ({
        version,
        name,
        applied: version <= found.version,
      })),
    }
  } finally {
    await db.close()
  }
}

/** The SQL that `migrateUp` would run now, with its transactions, without running it. */
export async function planMigrateUp(options: MigrateOptions): Promise<string> {
  const { db, migrations, steps } = await open(options)
  try {
    const found = await readSchemaVersion(db)
    checkHistory(found, migrations.length)
    const planned = migrations.slice(found.version, found.version + (steps ?? migrations.length))
    const sql = planned.map(planOneStep)
    if (found.version === 0 && sql.length > 0) sql.unshift(`${CREATE_VERSION_TABLE.trim()};\n`)
    return sql.join('\n')
  } finally {
    await db.close()
  }
}

function planOneStep({ version, name, upSql }: Migration): string {
  return `-- ${version} ${name}
BEGIN;

${upSql.trimEnd()}

DELETE FROM ${VERSION_TABLE};
INSERT INTO ${VERSION_TABLE} (version, dirty) VALUES (${version}, false);
COMMIT;
`
}

async function migrate(
  options: MigrateOptions,
  direction: 'up' | 'down',
): Promise<readonly AppliedMigration[]> {
  const { db, migrations, steps, lockTimeoutMs, allowDataLoss } = await open(options)
  try {
    if (direction === 'down' && steps === undefined) {
      throw new InvalidInputError('steps', undefined, 'the number of migrations to undo')
    }
    const applied: AppliedMigration[] = []
    while (applied.length < (steps ?? migrations.length)) {
      const startedAt = performance.now()
      const next = await db.transaction(async transaction => {
        await takeMigrationLock(transaction, lockTimeoutMs)
        if (allowDataLoss) await transaction.runScript(`SET LOCAL tripwire.allow_data_loss = 'on'`)
        return migrateOneStep(transaction, migrations, direction)
      })
      if (!next) break
      applied.push({ version: next.version, name: next.name, durationMs: performance.now() - startedAt })
    }
    return applied
  } finally {
    await db.close()
  }
}

/** Applies or undoes the next migration, or returns `undefined` when there is none. The caller holds the lock. */
async function migrateOneStep(
  transaction: QueryRunner,
  migrations: readonly Migration[],
  direction: 'up' | 'down',
): Promise<Migration | undefined> {
  await createVersionTable(transaction)
  const found = await readSchemaVersion(transaction)
  checkHistory(found, migrations.length)
  const next = migrations[direction === 'up' ? found.version : found.version - 1]
  if (!next) return undefined
  const target = direction === 'up' ? next.version : next.version - 1
  try {
    await transaction.runScript(direction === 'up' ? next.upSql : next.downSql)
    await writeSchemaVersion(transaction, target)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new TripwireStorageError(
      'MIGRATION_FAILED',
      `${direction} ${next.version} (${next.name}): ${reason}`,
      {
        cause,
        hint: cause instanceof TripwireStorageError ? cause.hint : undefined,
      },
    )
  }
  return next
}

async function open(options: MigrateOptions) {
  const given = parseObject('options', options, [
    'connectionString',
    'steps',
    'lockTimeoutMs',
    'allowDataLoss',
    'migrationsDir',
  ])
  const steps = given.steps === undefined ? undefined : parseInteger('steps', given.steps, 1, 1_000_000)
  const lockTimeoutMs = parseInteger(
    'lockTimeoutMs',
    given.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS,
    1,
    LONGEST_LOCK_TIMEOUT_MS,
  )
  const allowDataLoss = parseBoolean('allowDataLoss', given.allowDataLoss ?? false)
  const migrations = await readMigrations(options.migrationsDir ?? MIGRATIONS_DIR)
  const db = new Database({
    connectionString: options.connectionString,
    maxConnections: 1,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    applicationName: 'tripwire-storage migrate',
  })
  return { db, migrations, steps, lockTimeoutMs, allowDataLoss }
}
