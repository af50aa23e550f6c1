import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { TripwireStorageError } from '../errors.ts'
import { sendCancelRequest } from './cancel-request.ts'
import { parseConnectionString } from './connection-string.ts'
import { CopyIn } from './copy-in.ts'
import { fromDriver } from './driver-error.ts'
import { rowTypes } from './row-values.ts'

/** How long a server may take to end a connection that was said goodbye to. */
const GOODBYE_MS = 300

/** What a statement takes as a parameter. Arrays become PostgreSQL arrays, so their length adds no parameters. */
export type SqlValue = string | number | boolean | null | readonly (string | null)[]

export interface QueryResult<Row> {
  readonly rows: readonly Row[]
  readonly rowCount: number
}

/** Runs one statement: on any connection of the pool, or on that of a transaction. */
export interface QueryRunner {
  query<Row extends object>(sql: string, values?: readonly SqlValue[]): Promise<QueryResult<Row>>
  /** Runs text that may hold several statements, by the simple protocol, and drops what they return. */
  runScript(sql: string): Promise<void>
}

/** Runs transactions, each on a connection of its own. */
export interface TransactionRunner {
  transaction<T>(
    work: (transaction: QueryRunner) => Promise<T>,
    signal?: AbortSignal,
    begin?: string,
  ): Promise<T>
}

export interface DatabaseOptions {
  readonly connectionString: string
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  readonly applicationName: string
  /**
   * How long a statement may take. A connection on which one takes longer is broken, and its outcome is unknown: the
   * server may be frozen, or the network gone. Without it there is no limit.
   */
  readonly statementTimeoutMs?: number
}

/**
 * A pool of connections to one database.
 *
 * No session state is left on a connection: no SET, no advisory session lock, no named statement. So a pooler in
 * transaction mode may stand between.
 */
export class Database implements QueryRunner, TransactionRunner {
  readonly #pool: pg.Pool
  readonly #clients = new Set<pg.Client>()
  readonly #running = new Set<Promise<unknown>>()

  /** Takes no connection yet. `onIdleError` hears of connections that died while nobody used them. */
  constructor(options: DatabaseOptions, onIdleError: (error: unknown) => void = () => undefined) {
    parseConnectionString('connectionString', options.connectionString)
    this.#pool = new pg.Pool({
      connectionString: options.connectionString,
      max: options.maxConnections,
      connectionTimeoutMillis: options.connectTimeoutMs,
      application_name: options.applicationName,
      types: rowTypes,
      keepAlive: true,
      ...(options.statementTimeoutMs === undefined ? {} : { query_timeout: options.statementTimeoutMs }),
    })
    // Without these listeners a connection that dies, idle or between two statements, ends the process.
    this.#pool.on('error', error => onIdleError(fromDriver(error)))
    this.#pool.on('connect', client => {
      this.#clients.add(client)
      client.on('error', () => undefined)
    })
    this.#pool.on('remove', client => this.#clients.delete(client))
  }

  async query<Row extends object>(sql: string, values: readonly SqlValue[] = []): Promise<QueryResult<Row>> {
    return this.#track(runQuery(this.#pool, sql, values))
  }

  async runScript(sql: string): Promise<void> {
    return this.#track(runScript(this.#pool, sql))
  }

  /**
   * The same pool for statements that may take long. When the signal is aborted, the server is asked to cancel what runs: it
   * throws QUERY_FAILED with SQLSTATE 57014, unless it ended just then. A connection that was cancelled is given up, so that a
   * late cancellation cannot meet somebody else's statement.
   */
  withSignal(signal: AbortSignal): QueryRunner {
    return {
      query: (sql, values = []) =>
        this.#track(this.#runCancellable(signal, client => runQuery(client, sql, values))),
      runScript: sql => this.#track(this.#runCancellable(signal, client => runScript(client, sql))),
    }
  }

  async #runCancellable<T>(signal: AbortSignal, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const client = await this.#connect()
    let cancelled: Promise<void> | undefined
    const cancel = () => {
      cancelled = sendCancelRequest(client)
    }
    signal.addEventListener('abort', cancel)
    try {
      signal.throwIfAborted()
      return await work(client)
    } finally {
      signal.removeEventListener('abort', cancel)
      await cancelled
      client.release(cancelled !== undefined)
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    return this.#pool.connect().catch((error: unknown) => {
      throw fromDriver(error)
    })
  }

  /**
   * Runs `work` in a transaction on one connection. Commits when it returns, rolls back when it throws.
   * An error of COMMIT itself leaves the outcome unknown: CONNECTION_FAILED. When the signal is aborted, the server is asked to
   * cancel what runs, as `withSignal` does; `work` has to look at the signal all the same.
   * @param begin how it begins: BEGIN, with the settings of this transaction after it. Defaults to READ COMMITTED, whatever the
   *   server's default is: a transaction that only holds a lock must hold no snapshot.
   */
  async transaction<T>(
    work: (transaction: QueryRunner) => Promise<T>,
    signal?: AbortSignal,
    begin = 'BEGIN ISOLATION LEVEL READ COMMITTED',
  ): Promise<T> {
    return this.#track(this.#runTransaction(work, signal, begin))
  }

  async #runTransaction<T>(
    work: (transaction: QueryRunner) => Promise<T>,
    signal: AbortSignal | undefined,
    begin: string,
  ): Promise<T> {
    const client = await this.#connect()
    let cancelled: Promise<void> | undefined
    const cancel = () => {
      cancelled = sendCancelRequest(client)
    }
    signal?.addEventListener('abort', cancel)
    const transaction: QueryRunner = {
      query: (sql, values = []) => runQuery(client, sql, values),
      runScript: sql => runScript(client, sql),
    }
    let broken = false
    try {
      await transaction.runScript(begin)
      const result = await work(transaction)
      await commit(client)
      return result
    } catch (error) {
      broken = await client.query('ROLLBACK').then(
        () => false,
        () => true,
      )
      throw error
    } finally {
      signal?.removeEventListener('abort', cancel)
      await cancelled
      client.release(broken || cancelled !== undefined)
    }
  }

  /** Runs `COPY … FROM STDIN (FORMAT binary)` with its data, as a transaction of its own. */
  async copyIn(sql: string, data: Uint8Array): Promise<void> {
    return this.#track(this.#runCopyIn(sql, data))
  }

  async #runCopyIn(sql: string, data: Uint8Array): Promise<void> {
    const client = await this.#connect()
    let broken = false
    try {
      await client.query(new CopyIn(sql, data)).done
    } catch (error) {
      broken = !(error instanceof pg.DatabaseError)
      throw fromDriver(error)
    } finally {
      client.release(broken)
    }
  }

  /** Waits for what runs and what waits for a connection, then closes every connection. */
  async close(): Promise<void> {
    // The pool itself would refuse those that wait.
    await Promise.allSettled(this.#running)
    const gone = Promise.all(
      [...this.#clients].map(client => new Promise(resolve => client.once('end', resolve))),
    )
    await this.#pool.end()
    // The pool does not wait for the goodbyes, and one that a silent network swallows would keep the process alive.
    await Promise.race([gone, sleep(GOODBYE_MS, undefined, { ref: false })])
    this.destroy()
  }

  /**
   * Breaks every connection at once, also one whose server does not answer any more: even saying goodbye would
   * wait for it.
   */
  destroy(): void {
    for (const client of this.#clients) client.connection.stream.destroy()
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    return work.finally(() => this.#running.delete(work))
  }
}

async function runQuery<Row extends object>(
  target: pg.Pool | pg.PoolClient,
  sql: string,
  values: readonly SqlValue[],
): Promise<QueryResult<Row>> {
  try {
    const result = await target.query<Row>(sql, [...values])
    return { rows: result.rows, rowCount: result.rowCount ?? 0 }
  } catch (error) {
    throw fromDriver(error)
  }
}

async function runScript(target: pg.Pool | pg.PoolClient, sql: string): Promise<void> {
  try {
    await target.query(sql)
  } catch (error) {
    throw fromDriver(error)
  }
}

/** COMMIT of a transaction that failed answers ROLLBACK, without an error. */
async function commit(client: pg.PoolClient): Promise<void> {
  const result = await client.query('COMMIT').catch((error: unknown) => {
    throw fromDriver(error)
  })
  if (result.command !== 'COMMIT') {
    throw new TripwireStorageError('QUERY_FAILED', 'the transaction had failed, so COMMIT rolled it back')
  }
}
