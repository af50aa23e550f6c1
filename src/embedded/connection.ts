import { Client } from 'pg'

export const HOST = '127.0.0.1'
export const USER = 'postgres'
export const DATABASE = 'tripwire'

/** Where a server of ours listens, and its password. */
export interface ServerAddress {
  readonly port: number
  readonly password: string
}

const CONNECT_TIMEOUT_MS = 5_000

/** Creates the database `tripwire` when it does not exist. */
export async function ensureDatabase(address: ServerAddress): Promise<void> {
  await withClient(address, async client => {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`)
  })
}

/** The data directory of the server that answers at an address. */
export async function readDataDirectory(address: ServerAddress): Promise<string> {
  return withClient(address, async client => {
    const { rows } = await client.query<{ path: string }>(`SELECT current_setting('data_directory') AS path`)
    return rows[0]?.path ?? ''
  })
}

async function withClient<T>(
  { port, password }: ServerAddress,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({
    host: HOST,
    port,
    user: USER,
    password,
    database: 'postgres',
    // Both given, so that PGSSLMODE and PGOPTIONS of the environment, meant for another server, do not count.
    ssl: false,
    options: '-c client_min_messages=warning',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: CONNECT_TIMEOUT_MS * 6,
  })
  // A broken connection also fails the call that waits for it; without a listener it would end the process.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await use(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}
