import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../src/embedded/index.ts'

const BIN_DIR = '/usr/lib/postgresql/15/bin'
const EXTENSION_DIR = '/usr/share/postgresql/15/extension'

/** The database that the server comes with. */
export const DEBIAN_DATABASE = 'tripwire'

export interface DebianPostgres extends AsyncDisposable {
  /** As the owner of everything. */
  readonly connectionString: string
}

/** Why the tests with Debian's PostgreSQL and pg_cron are skipped here; `undefined` when they can. */
export function pgCronMissing(): string | undefined {
  if (!existsSync(join(BIN_DIR, 'postgres'))) {
    return "Debian's PostgreSQL 15 is not installed: apt-get install postgresql-15 postgresql-15-cron"
  }
  if (!existsSync(join(EXTENSION_DIR, 'pg_cron.control'))) {
    return 'pg_cron is not installed: apt-get install postgresql-15-cron'
  }
  return undefined
}

/** Starts Debian's PostgreSQL 15 in a folder of its own, which goes away with it. The cluster of the system is left alone. */
export async function startDebianPostgres(
  settings: Readonly<Record<string, string>>,
): Promise<DebianPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tripwire-debian-'))
  const removeFolder = () => rm(dataDir, { recursive: true, force: true })
  try {
    const server = await startEmbeddedPostgres({
      dataDir,
      binDir: BIN_DIR,
      settings: { fsync: 'off', full_page_writes: 'off', ...settings },
    })
    return {
      connectionString: server.connectionString,
      [Symbol.asyncDispose]: async () => {
        await server.stop()
        await removeFolder()
      },
    }
  } catch (error) {
    await removeFolder()
    throw error
  }
}
