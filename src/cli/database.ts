import { Command, Option } from 'commander'
import { startEmbeddedPostgres } from '../embedded/index.ts'
import { migrateUp } from '../migrate/migrate.ts'
import { Store } from '../store.ts'
import type { StoreOptions } from '../store-options.ts'
import type { CommandContext } from './command-context.ts'

export const DEFAULT_DATA_DIR = '.tripwire'
const URL_VARIABLE = 'TRIPWIRE_DATABASE_URL'

export interface DatabaseFlags {
  readonly databaseUrl?: string
  readonly dataDir: string
}

/** A command that works on a database: the flags that say which. */
export function databaseCommand(name: string): Command {
  return new Command(name)
    .addOption(
      new Option(
        '--database-url <url>',
        `postgres://user:password@host/database (or ${URL_VARIABLE}); without it, an own PostgreSQL`,
      ),
    )
    .addOption(
      new Option('--data-dir <folder>', 'where the own PostgreSQL keeps its data').default(DEFAULT_DATA_DIR),
    )
}

/**
 * Runs `work` on the database that the flags name, or on an embedded PostgreSQL, which is stopped afterwards.
 * The embedded one is ours alone, so its schema is brought up to date first; a given one is not touched.
 */
export async function withStore<T>(
  context: CommandContext,
  flags: DatabaseFlags,
  work: (store: Store) => Promise<T>,
  options: Omit<StoreOptions, 'connectionString'> = {},
): Promise<T> {
  return withDatabase(context, flags, async (connectionString, isEmbedded) => {
    if (isEmbedded) await migrateUp({ connectionString })
    // A command does what it was asked for, and is gone before an interval ends.
    const store = await Store.open({ connectionString, maintenanceIntervalMs: 0, ...options })
    let result: T
    try {
      result = await work(store)
    } catch (error) {
      await store.close().catch(() => undefined)
      throw error
    }
    await store.close()
    return result
  })
}

/** The same without a schema: for migrations. */
export async function withDatabase<T>(
  context: CommandContext,
  flags: DatabaseFlags,
  work: (connectionString: string, isEmbedded: boolean) => Promise<T>,
): Promise<T> {
  const url = flags.databaseUrl ?? context.env[URL_VARIABLE]
  if (url) return work(url, false)
  const server = await startEmbeddedPostgres({ dataDir: flags.dataDir })
  try {
    return await work(server.connectionString, true)
  } finally {
    await server.stop()
  }
}
