/** What is left on the connections that the clients of a PgBouncer in transaction mode share. */
import pg from 'pg'
import { expect } from 'vitest'
import { listServerConnections } from './pgbouncer-console.ts'

/** A database behind a pooler. */
export interface PooledDatabase {
  /** Through the pooler, as the role that it was started with. */
  readonly through: { readonly connectionString: string }
  /** Past the pooler. */
  readonly direct: {
    readonly name: string
    sql(text: string): Promise<readonly Record<string, unknown>[]>
  }
}

/** What the next client of the pooler finds on a connection to the server. */
interface Session {
  readonly pid: number
  /** The names of the settings that a SET of a session changed, but for those that PgBouncer sets for each client. */
  readonly changedSettings: readonly string[]
  readonly preparedStatements: readonly string[]
  readonly channels: readonly string[]
}

const READ_SESSION = `
  SELECT
    pg_backend_pid() AS "pid",
    ARRAY(
      SELECT name
      FROM pg_settings
      WHERE source = 'session'
        AND setting IS DISTINCT FROM reset_val
        AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'standard_conforming_strings')
      UNION ALL
      SELECT 'role'
      WHERE current_setting('role') <> 'none'
      ORDER BY name
    ) AS "changedSettings",
    ARRAY(SELECT name FROM pg_prepared_statements ORDER BY name) AS "preparedStatements",
    ARRAY(SELECT pg_listening_channels()) AS "channels"`

const READ_ADVISORY_LOCKS = `
  SELECT pid, mode, granted
  FROM pg_locks
  WHERE locktype = 'advisory'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

const READ_TEMPORARY_TABLES = `
  SELECT relname::text AS name
  FROM pg_class
  WHERE relpersistence = 't'
  ORDER BY relname`

export interface Leftovers {
  /** Of every role. */
  readonly advisoryLocks: readonly Record<string, unknown>[]
  /** Of every role. */
  readonly temporaryTables: readonly string[]
  /** Those of the role that the pooler was started with: nobody else's password is known here. */
  readonly sessions: readonly Session[]
}

/**
 * Looks for what clients left behind. Locks and tables are seen from outside. Sessions are looked at from within, as a stranger who
 * comes after our clients: as many fresh clients at once, each in a transaction, get one each.
 */
export async function findLeftovers(pooled: PooledDatabase): Promise<Leftovers> {
  const tables = await pooled.direct.sql(READ_TEMPORARY_TABLES)
  return {
    advisoryLocks: await pooled.direct.sql(READ_ADVISORY_LOCKS),
    temporaryTables: tables.map(({ name }) => String(name)),
    sessions: await readSessions(pooled),
  }
}

async function readSessions(pooled: PooledDatabase): Promise<readonly Session[]> {
  const pids = await ownServerProcesses(pooled)
  const { connectionString } = pooled.through
  const clients = pids.map(() => new pg.Client({ connectionString }))
  try {
    await Promise.all(clients.map(client => client.connect()))
    await Promise.all(clients.map(client => client.query('BEGIN')))
    const results = await Promise.all(clients.map(client => client.query<Session>(READ_SESSION)))
    await Promise.all(clients.map(client => client.query('ROLLBACK')))
    const sessions = results.flatMap(({ rows }) => rows)
    expect(sessions.map(({ pid }) => pid).sort()).toEqual([...pids].sort())
    return sessions
  } finally {
    await Promise.all(clients.map(client => client.end()))
  }
}

/** Those that the next client of the same role may get. */
async function ownServerProcesses({ through, direct }: PooledDatabase): Promise<readonly number[]> {
  const role = decodeURIComponent(new URL(through.connectionString).username)
  const connections = await listServerConnections(through.connectionString, direct.name)
  return connections.filter(connection => connection.role === role).map(({ pid }) => pid)
}

/** No lock, no setting, no statement, no channel and no table of ours stays behind on a connection that a stranger may get. */
export async function expectNothingLeft(pooled: PooledDatabase): Promise<void> {
  const { advisoryLocks, temporaryTables, sessions } = await findLeftovers(pooled)
  expect({ advisoryLocks, temporaryTables }).toEqual({ advisoryLocks: [], temporaryTables: [] })
  for (const session of sessions) {
    expect(session).toEqual({ pid: session.pid, changedSettings: [], preparedStatements: [], channels: [] })
  }
}
