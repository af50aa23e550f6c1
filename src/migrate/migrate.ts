import { InvalidInputError } from '../errors.ts'
import { parseBoolean, parseInteger, parseObject } from '../model/input.ts'
import { Database } from '../pg/database.ts'
import { MIGRATIONS_DIR, readMigrations } from './migration-files.ts'
import { withMigrationLock } from './migration-lock.ts'
import { stepDown, stepUp } from './migration-step.ts'
import { planMigrations } from './plan-migrations.ts'
import { readSchemaVersion } from './schema-version.ts'
import { findUnrecordedTables, type UnrecordedTables } from './unrecorded-tables.ts'

/** How long a migration tries to get its locks, in milliseconds. */
export const DEFAULT_LOCK_TIMEOUT_MS = 60_000
const LONGEST_LOCK_TIMEOUT_MS = 86_400_000
const CONNECT_TIMEOUT_MS = 10_000

export interface MigrateOptions {
  /** `postgres://user:password@host:5432/database`, a role that may create tables. */
  readonly connectionString: string
  /**
   * How many migrations to apply or to undo, from 1. What is adopted does not count. `migrateUp` defaults to all;
   * `migrateDown` needs it.
   */
  readonly steps?: number | undefined
  /**
   * How long to wait for another migration, and how long to try for the locks of tables, 1 to 86,400,000 ms. A single try
   * for a table takes at most a second, because everybody else waits behind it. Defaults to 60,000.
   */
  readonly lockTimeoutMs?: number | undefined
  /** Lets `migrateDown` drop tables that hold rows. Defaults to false. */
  readonly allowDataLoss?: boolean | undefined
  /** A folder with other migration files. Defaults to those of the package. */
  readonly migrationsDir?: string | undefined
}

/** A migration that a call recorded, or took out of the record. */
export interface AppliedMigration {
  readonly version: number
  readonly name: string
  /** Of its transaction. Migrations that were adopted share one. */
  readonly durationMs: number
  /** Whether its tables stood there already, made by hand or by another tool, and it was recorded without being run. */
  readonly wasAdopted: boolean
  /** What it had to leave to somebody, and the command for that. */
  readonly warnings: readonly string[]
}

export interface MigrationStatus {
  /** What is recorded; 0 when nothing is. */
  readonly version: number
  readonly dirty: boolean
  /** Tables of ours that no migration is recorded of. `null` when there are none. */
  readonly unrecorded: UnrecordedTables | null
  readonly migrations: readonly {
    readonly version: number
    readonly name: string
    readonly applied: boolean
  }[]
}

/**
 * Applies the migrations that are missing, each in a transaction of its own with its mark inside, so that a kill at any
 * moment leaves a version that is whole. Any number of processes may call it at once: each migration is applied once.
 *
 * Where nothing is recorded but the tables of the first migrations stand there, made by hand or by another tool, and fit,
 * it adopts them: it records their version and goes on from there.
 *
 * Writers go on. No lock that they would wait for is asked for longer than a second at a time, and indexes of months with
 * rows are built beside them.
 * @returns what this call adopted and applied, in order; empty when there was nothing to do.
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
    const tables = found.version === 0 ? await findUnrecordedTables(db, migrations) : undefined
    return {
      ...found,
      unrecorded: tables ? { version: tables.version, differences: tables.differences } : null,
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

/**
 * The SQL that `migrateUp` would run now, with its transactions, without running it. For psql: where months hold rows, it
 * has statements that must not run in a transaction.
 * @throws TripwireStorageError with a code MIGRATION_…, as `migrateUp` would.
 */
export async function planMigrateUp(options: MigrateOptions): Promise<string> {
  const { db, migrations, steps } = await open(options)
  try {
    return await planMigrations(db, migrations, steps ?? migrations.length)
  } finally {
    await db.close()
  }
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
    for (let stepsLeft = steps ?? migrations.length; stepsLeft > 0; ) {
      const startedAt = performance.now()
      const step = await withMigrationLock(db, lockTimeoutMs, async transaction => {
        if (allowDataLoss) await transaction.runScript(`SET LOCAL tripwire.allow_data_loss = 'on'`)
        return direction === 'up' ? stepUp(db, transaction, migrations) : stepDown(transaction, migrations)
      })
      if (!step) break
      const { wasAdopted, warnings } = step
      const durationMs = performance.now() - startedAt
      for (const { version, name } of step.migrations) {
        applied.push({ version, name, durationMs, wasAdopted, warnings })
      }
      if (!wasAdopted) stepsLeft -= 1
    }
    return applied
  } finally {
    await db.close()
  }
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
    // One holds the migration lock, one builds indexes.
    maxConnections: 2,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    applicationName: 'tripwire-storage migrate',
  })
  return { db, migrations, steps, lockTimeoutMs, allowDataLoss }
}
