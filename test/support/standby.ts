import { appendFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, vi } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/index.ts'
import { runAdminSql } from './admin-sql.ts'

export interface ReplicatedServer extends AsyncDisposable {
  readonly primary: { readonly connectionString: string }
  /** A hot standby: it replays what the primary commits, and answers questions. */
  readonly standby: { readonly connectionString: string }
  /** Until the standby has replayed what the primary has done up to now, also what it has not committed. */
  replayed(): Promise<void>
  /** From now on the standby gets nothing of what the primary does. */
  partWays(): Promise<void>
  /** Makes a primary of the standby. */
  takeOver(): Promise<void>
}

const SETTINGS = { fsync: 'off', full_page_writes: 'off' }
const REPLAYED_WITHIN_MS = 30_000
/** What belongs to a process. */
const OF_A_PROCESS: ReadonlySet<string> = new Set(['postmaster.pid', 'postmaster.opts', 'server.log'])

/** Starts a primary and a standby that streams from it, both in a folder that goes away with them. */
export async function startReplicatedServer(): Promise<ReplicatedServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tripwire-replicated-'))
  const servers: EmbeddedPostgres[] = []
  const start = async (name: string) => {
    const binDir = process.env['TRIPWIRE_TEST_POSTGRES_BIN']
    const server = await startEmbeddedPostgres({
      dataDir: join(folder, name),
      settings: SETTINGS,
      ...(binDir === undefined ? {} : { binDir }),
    })
    servers.push(server)
    return server
  }
  const stop = async () => {
    for (const server of servers.toReversed()) await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    // The packages from npm have no pg_basebackup, and a copy of a server that is shut down is as good.
    await (await start('primary')).stop()
    await cp(join(folder, 'primary'), join(folder, 'standby'), {
      recursive: true,
      filter: source => !OF_A_PROCESS.has(basename(source)),
    })
    const primary = await start('primary')
    const clusterDir = join(folder, 'standby', 'cluster')
    await writeFile(join(clusterDir, 'standby.signal'), '')
    await appendFile(
      join(clusterDir, 'postgresql.auto.conf'),
      `primary_conninfo = '${conninfoOf(primary.connectionString)}'\n`,
    )
    const standby = await start('standby')
    return {
      primary,
      standby,
      replayed: () => untilReplayed(primary.connectionString, standby.connectionString),
      partWays: () => partWays(standby.connectionString),
      takeOver: () => takeOver(standby.connectionString),
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function conninfoOf(connectionString: string): string {
  const { hostname, port, username, password } = new URL(connectionString)
  return `host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)}`
}

async function untilReplayed(primary: string, standby: string): Promise<void> {
  // A commit writes out all that is before it in the log, such as locks.
  await runAdminSql(primary, `SELECT pg_logical_emit_message(true, 'test', '')`)
  const [written] = await runAdminSql(primary, 'SELECT pg_current_wal_flush_lsn()::text AS lsn')
  const hasReplayed = `SELECT pg_last_wal_replay_lsn() >= '${written?.['lsn']}' AS replayed`
  await vi.waitFor(
    async () => expect(await runAdminSql(standby, hasReplayed)).toEqual([{ replayed: true }]),
    { timeout: REPLAYED_WITHIN_MS },
  )
}

async function partWays(standby: string): Promise<void> {
  await runAdminSql(standby, `ALTER SYSTEM SET primary_conninfo = ''`)
  await runAdminSql(standby, 'SELECT pg_reload_conf()')
  await vi.waitFor(
    async () => expect(await runAdminSql(standby, 'SELECT FROM pg_stat_wal_receiver')).toEqual([]),
    { timeout: REPLAYED_WITHIN_MS },
  )
}

async function takeOver(standby: string): Promise<void> {
  const [promoted] = await runAdminSql(standby, 'SELECT pg_promote() AS done')
  expect(promoted).toEqual({ done: true })
}
