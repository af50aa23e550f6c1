import { createHash } from 'node:crypto'
import type pg from 'pg'
import { DatabaseError } from '../errors.ts'
import { SQLSTATE } from './sqlstate.ts'

const NAME_HASH_LENGTH = 32

const READ_BACKEND_PID = `
  SELECT pg_backend_pid() AS pid`

/**
 * The names under which a pool prepares statements that come again and again: parsing and planning over many months takes longer
 * than finding one alert.
 *
 * A pooler in transaction mode hands each statement to another server process, where the name does not exist, or stands for
 * somebody else. So nothing is prepared where one stands between. A pooler shows itself by the process id that it gave when the
 * connection was made: it is not that of the server process that answers.
 */
export class PreparedStatements {
  readonly #isDirect = new WeakMap<pg.PoolClient, boolean>()
  /** By statement. They are of a closed number: whoever asks for a name promises that. */
  readonly #names = new Map<string, string>()
  #generation = 0

  /** The name for a statement on this connection; `undefined` where it must not have one. Asks the server once a connection. */
  async nameFor(client: pg.PoolClient, sql: string): Promise<string | undefined> {
    let isDirect = this.#isDirect.get(client)
    if (isDirect === undefined) {
      isDirect = await leadsToServer(client)
      this.#isDirect.set(client, isDirect)
    }
    return isDirect ? this.#nameOf(sql) : undefined
  }

  /** Prepares all anew, under other names: one turned out to be an old one. */
  renew(): void {
    this.#generation++
    this.#names.clear()
  }

  #nameOf(sql: string): string {
    const known = this.#names.get(sql)
    if (known !== undefined) return known
    const hash = createHash('sha256').update(sql).digest('hex').slice(0, NAME_HASH_LENGTH)
    const name = `tripwire_${this.#generation}_${hash}`
    this.#names.set(sql, name)
    return name
  }
}

/**
 * Whether a prepared statement may have failed for being an old one, after a migration for example. It was refused before it began
 * then. "cached plan must not change result type" has no SQLSTATE of its own.
 */
export function mayBeOutdated(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === SQLSTATE.featureNotSupported
}

/** Whether a connection leads to the server process itself, and not to a pooler. Asks the server. */
export async function leadsToServer(client: pg.ClientBase): Promise<boolean> {
  if (!('processID' in client)) return false
  const { rows } = await client.query<{ pid: number }>(READ_BACKEND_PID)
  return rows[0]?.pid === client.processID
}
