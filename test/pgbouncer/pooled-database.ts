/** A database behind PgBouncer in transaction mode, and what is left on the connections that its clients share. */
import pg from 'pg'
import { afterAll, beforeAll, expect, inject } from 'vitest'
import { type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { type TestDatabase, useTestDatabase } from '../support/test-database.ts'

export interface PooledDatabase {
  /** The same database, past the pooler. */
  readonly direct: TestDatabase
  readonly poolSize: number
  /** What leads through the pooler. */
  readonly through: { readonly connectionString: string }
}

/** A database of its own for a test file, and a pooler of its own in front of it. */
export function usePooledDatabase(from: 'migrated' | 'empty', poolSize: number): PooledDatabase {
  const direct = useTestDatabase(from)
  let pooler: PgBouncer | undefined
  beforeAll(async () => {
    pooler = await startPgBouncer({ serverUrl: inject('adminUrl'), poolSize })
  })
  afterAll(async () => pooler?.stop())
  return {
    direct,
    poolSize,
    get through() {
      if (pooler === undefined) throw new Error('PgBouncer runs only while the tests do')
      return { connectionString: pooler.urlOf(direct.name) }
    },
  }
}

/** What the next client of the pooler finds on a connection to the server. */
export interface ServerConnection {
  readonly pid: number
  readonly settings: Readonly<Record<string, string>>
  /** The names of the settings that a SET of a session changed, but for those that PgBouncer sets for each client. */
  readonly changedSettings: readonly string[]
  readonly preparedStatements: readonly string[]
  readonly temporaryTables: readonly string[]
}

/** With these the caller's time zone, its names and its patience would reach a stranger. */
export const COMPARED_SETTINGS = ['search_path', 'TimeZone', 'lock_timeout', 'statement_timeout'] as const

const READ_SETTINGS = `
  SELECT ${COMPARED_SETTINGS.map(name => `current_setting('${name}') AS "${name}"`).join(', ')}`

const READ_LEFTOVERS = `
  SELECT
    pg_backend_pid() AS "pid",
    ARRAY(
      SELECT name
      FROM pg_settings
      WHERE source = 'session'
        AND setting IS DISTINCT FROM reset_val
        AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'standard_conforming_strings', 'TimeZone')
      ORDER BY name
    ) AS "changedSettings",
    ARRAY(SELECT name FROM pg_prepared_statements ORDER BY name) AS "preparedStatements",
    ARRAY(SELECT relname::text FROM pg_class WHERE relpersistence = 't' ORDER BY relname) AS "temporaryTables"`

/**
 * Looks at every connection that the pooler has to the server, as a stranger who comes after our clients: so many fresh clients
 * at once, each in a transaction, get one each.
 */
export async function serverConnections(pooled: PooledDatabase): Promise<readonly ServerConnection[]> {
  const clients = Array.from({ length: pooled.poolSize }, () => new pg.Client(pooled.through))
  try {
    await Promise.all(clients.map(client => client.connect()))
    await Promise.all(clients.map(client => client.query('BEGIN')))
    return await Promise.all(clients.map(readConnection))
  } finally {
    await Promise.all(clients.map(client => client.end()))
  }
}

async function readConnection(client: pg.Client): Promise<ServerConnection> {
  const settings = await client.query<Record<string, string>>(READ_SETTINGS)
  const leftovers = await client.query<Omit<ServerConnection, 'settings'>>(READ_LEFTOVERS)
  await client.query('ROLLBACK')
  const [row] = leftovers.rows
  if (row === undefined) throw new Error('the server gave no row')
  return { ...row, settings: settings.rows[0] ?? {} }
}

export async function advisoryLocks({ direct }: PooledDatabase): Promise<readonly Record<string, unknown>[]> {
  return direct.sql(`
    SELECT pid, mode, granted
    FROM pg_locks
    WHERE locktype = 'advisory'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
}

/** What else serves the database, beside these processes of the server. */
async function otherServerProcesses({ direct }: PooledDatabase, pids: readonly number[]) {
  return direct.sql(`
    SELECT pid, state, query
    FROM pg_stat_activity
    WHERE datname = current_database()
      AND backend_type = 'client backend'
      AND pid NOT IN (pg_backend_pid(), ${pids.join(', ')})`)
}

/** No lock, no setting, no statement and no table of ours stays behind on any connection that a stranger may get. */
export async function expectNothingLeft(pooled: PooledDatabase): Promise<void> {
  expect(await advisoryLocks(pooled)).toEqual([])
  const [defaults] = await pooled.direct.sql(READ_SETTINGS)
  const connections = await serverConnections(pooled)
  const pids = connections.map(({ pid }) => pid)
  expect(new Set(pids).size).toBe(pooled.poolSize)
  // There is no other. One that the pooler gave up goes away a moment later.
  await expect.poll(() => otherServerProcesses(pooled, pids), { timeout: 20_000 }).toEqual([])
  for (const { settings, changedSettings, preparedStatements, temporaryTables } of connections) {
    expect(settings).toEqual(defaults)
    expect({ changedSettings, preparedStatements, temporaryTables }).toEqual({
      changedSettings: [],
      preparedStatements: [],
      temporaryTables: [],
    })
  }
}
