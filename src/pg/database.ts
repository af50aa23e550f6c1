import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type CallLimits, withinLimits } from './call-limits.ts'
import { Cancelling } from './cancelling.ts'
import { parseConnectionString } from './connection-string.ts'
import { CopyIn } from './copy-in.ts'
import { fromDriver } from './driver-error.ts'
import { mayBeOutdated, PreparedStatements } from './prepared-statements.ts'
import { rowTypes } from './row-values.ts'
import { commit, runQuery, runScript } from './run-statement.ts'
import type { QueryResult, SqlValue } from './sql-value.ts'

export type { QueryResult, SqlValue }

/** How long a server may take to end a connection that was said goodbye to. */
const GOODBYE_MS = 300

export interface QueryOptions {
  /**
   * Whether the same text comes again and again, and one of a closed number of texts: it is prepared then, where no pooler
   * stands between. Outside transactions alone. Any plan must do for it, a generic one too. Defaults to false.
   */
  readonly isRepeated?: boolean
}

/** Runs one statement: on any connection of the pool, or on that of a transaction. */
export interface QueryRunner {
  query<Row extends object>(
    sql: string,
    values?: readonly SqlValue[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>>
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
  /** Whether statements that are repeated are prepared, where no pooler stands between. Defaults to true. */
  readonly preparedStatements?: boolean
}

/**
 * A pool of connections to one database.
 *
 * No session state is left on a connection: no SET, no advisory session lock, and a named statement only where no pooler stands
 * between. So one in transaction mode may.
 */
export class Database implements QueryRunner, TransactionRunner {
  readonly #pool: pg.Pool
  readonly #clients = new Set<pg.Client>()
  readonly #running = new Set<Promise<unknown>>()
  readonly #prepared: PreparedStatements | undefined
  readonly #options: DatabaseOptions

  /** Takes no connection yet. `onIdleError` hears of connections that died while nobody used them. */
  constructor(options: DatabaseOptions, onIdleError: (error: unknown) => void = () => undefined) {
    parseConnectionString('connectionString', options.connectionString)
    this.#options = options
    this.#prepared = options.preparedStatements === false ? undefined : new PreparedStatements()
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

  /** For another one like it, on another thread. No field: it holds the password. */
  get options(): DatabaseOptions {
    return this.#options
  }

  async query<Row extends object>(
    sql: string,
    values: readonly SqlValue[] = [],
    { isRepeated = false }: QueryOptions = {},
  ): Promise<QueryResult<Row>> {
    return this.#track(
      isRepeated
        ? this.#runOnClient(client => this.#runRepeated<Row>(client, sql, values))
        : runQuery<Row>(this.#pool, sql, values),
    )
  }

  async runScript(sql: string): Promise<void> {
    return this.#track(runScript(this.#pool, sql))
  }

  /**
   * The same pool for statements that may take long. When the signal is aborted, the server is asked to cancel what runs: it
   * throws QUERY_FAILED with SQLSTATE 57014, unless it ended just then. A connection that was cancelled is given up, so that a
   * late cancellation cannot meet somebody else's statement; one whose server does not answer is broken.
   */
  withSignal(signal: AbortSignal): QueryRunner {
    return {
      query: <Row extends object>(
        sql: string,
        values: readonly SqlValue[] = [],
        { isRepeated = false }: QueryOptions = {},
      ) =>
        this.#track(
          this.#runOnClient(
            client =>
              isRepeated ? this.#runRepeated<Row>(client, sql, values) : runQuery<Row>(client, sql, values),
            signal,
          ),
        ),
      runScript: sql => this.#track(this.#runOnClient(client => runScript(client, sql), signal)),
    }
  }

  /**
   * The same pool for the statements of one call of a user, which may take no longer and may be cancelled. When a call is
   * rejected for that, the server has stopped working on it, or its connection is broken.
   * The statements throw TripwireStorageError TIMEOUT when the time is over, and the reason of the signal.
   */
  withLimits(limits: CallLimits): QueryRunner {
    return {
      query: (sql, values, options) =>
        withinLimits(limits, signal => this.withSignal(signal).query(sql, values, options)),
      runScript: sql => withinLimits(limits, signal => this.withSignal(signal).runScript(sql)),
    }
  }

  async #runOnClient<T>(work: (client: pg.PoolClient) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    const client = await this.#connect(signal)
    const cancelling = new Cancelling(client, signal)
    try {
      return await work(client)
    } catch (error) {
      throw fromDriver(error)
    } finally {
      client.release(await cancelling.end())
    }
  }

  async #runRepeated<Row extends object>(
    client: pg.PoolClient,
    sql: string,
    values: readonly SqlValue[],
    signal?: AbortSignal,
  ): Promise<QueryResult<Row>> {
    const name = await this.#prepared?.nameFor(client, sql)
    signal?.throwIfAborted()
    try {
      return await runQuery(client, sql, values, name)
    } catch (error) {
      if (name === undefined || !mayBeOutdated(error)) throw error
      signal?.throwIfAborted()
      const result = await runQuery<Row>(client, sql, values)
      this.#prepared?.renew()
      return result
    }
  }

  /** A connection that comes only after the signal goes back to the pool. */
  async #connect(signal?: AbortSignal): Promise<pg.PoolClient> {
    const connecting = this.#pool.connect().catch((error: unknown) => {
      throw fromDriver(error)
    })
    if (!signal) return connecting
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort)
    try {
      return await Promise.race([connecting, aborted])
    } catch (error) {
      connecting.then(
        client => client.release(),
        () => undefined,
      )
      throw error
    } finally {
      signal.removeEventListener('abort', abort)
    }
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
    signal?.throwIfAborted()
    const client = await this.#connect(signal)
    const cancelling = new Cancelling(client, signal)
    const transaction: QueryRunner = {
      query: async (sql, values = []) => {
        signal?.throwIfAborted()
        return runQuery(client, sql, values)
      },
      runScript: async sql => {
        signal?.throwIfAborted()
        return runScript(client, sql)
      },
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
      client.release((await cancelling.end()) || broken)
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
