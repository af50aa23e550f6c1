/** What the admin console of PgBouncer tells about one database, and does to it. */
import { expect, vi } from 'vitest'
import { runAdminSql, withDatabaseName } from './admin-sql.ts'

/** A connection between PgBouncer and the server. */
export interface ServerConnection {
  readonly role: string
  /** The process id of the server. */
  readonly pid: number
}

/** The clients of PgBouncer that are in a database: what they said about themselves, and what PgBouncer thinks of them. */
export async function listClients(
  poolerUrl: string,
  database: string,
): Promise<readonly Record<string, unknown>[]> {
  const rows = await rowsOf(poolerUrl, database, 'SHOW CLIENTS')
  return rows.map(row => ({
    user: row['user'],
    application_name: row['application_name'],
    state: row['state'],
    connect_time: row['connect_time'],
  }))
}

/** The connections to the server that PgBouncer has in a database. */
export async function listServerConnections(
  poolerUrl: string,
  database: string,
): Promise<readonly ServerConnection[]> {
  const rows = await rowsOf(poolerUrl, database, 'SHOW SERVERS')
  return rows.map(row => ({ role: String(row['user']), pid: Number(row['remote_pid']) }))
}

/** Until PgBouncer has ended its connections to the server in a database. Clients stay, and get new ones. */
export async function renewServerConnections(poolerUrl: string, database: string): Promise<void> {
  const before = await listServerConnections(poolerUrl, database)
  if (before.length === 0) return
  await command(poolerUrl, `RECONNECT ${database}`)
  const kept = async () => {
    const pids = (await listServerConnections(poolerUrl, database)).map(({ pid }) => pid)
    return before.filter(({ pid }) => pids.includes(pid))
  }
  await vi.waitFor(async () => expect(await kept()).toEqual([]), { timeout: 20_000 })
}

/** Ends every connection that PgBouncer has in a database, to clients and to the server. No client can come afterwards. */
export async function endConnections(poolerUrl: string, database: string): Promise<void> {
  if ((await rowsOf(poolerUrl, database, 'SHOW POOLS')).length > 0)
    await command(poolerUrl, `KILL ${database}`)
}

async function rowsOf(poolerUrl: string, database: string, show: string) {
  return (await command(poolerUrl, show)).filter(row => row['database'] === database)
}

function command(poolerUrl: string, text: string): Promise<readonly Record<string, unknown>[]> {
  return runAdminSql(withDatabaseName(poolerUrl, 'pgbouncer'), text)
}
