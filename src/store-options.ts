import { InvalidInputError } from './errors.ts'
import { parseInteger, parseObject, parseText } from './model/input.ts'

export const DEFAULT_BATCH_SIZE = 100
export const DEFAULT_FLUSH_INTERVAL_MS = 100
export const DEFAULT_MAX_BUFFERED_ALERTS = 10_000
export const DEFAULT_DEDUPLICATION_WINDOW_MS = 7 * 86_400_000
export const DEFAULT_MAX_CONNECTIONS = 10
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000
export const DEFAULT_CLOSE_TIMEOUT_MS = 10_000
export const DEFAULT_APPLICATION_NAME = 'tripwire-storage'

const LONGEST_WAIT_MS = 86_400_000
/** A hundred years. */
const LONGEST_WINDOW_MS = 36_525 * 86_400_000

export interface StoreOptions {
  /** `postgres://user:password@host:5432/database`, with the driver's parameters, such as `?sslmode=verify-full`. */
  readonly connectionString: string
  /** How many alerts fill a batch: the call that fills it returns after its flush. 1 to 5,000. Defaults to 100. */
  readonly batchSize?: number | undefined
  /** The longest that an alert waits for its batch to fill, 1 to 86,400,000 ms. Defaults to 100. */
  readonly flushIntervalMs?: number | undefined
  /** How many alerts may wait in memory before calls are refused with OVERLOADED; at least `batchSize`. Defaults to 10,000. */
  readonly maxBufferedAlerts?: number | undefined
  /**
   * How far back an alert is recognised as sent before, 0 to 3,155,760,000,000 ms. The month that is being written is always covered as a whole.
   * `Infinity` looks through all months, at the price of one index look-up a month and alert. Defaults to 604,800,000, a week.
   */
  readonly deduplicationWindowMs?: number | undefined
  /** The most connections to the database, 1 to 1,000. Defaults to 10. */
  readonly maxConnections?: number | undefined
  /** How long to wait for a connection, 1 to 86,400,000 ms. Defaults to 10,000. */
  readonly connectTimeoutMs?: number | undefined
  /** How long `close` may take in all, 1 to 86,400,000 ms. Defaults to 10,000. */
  readonly closeTimeoutMs?: number | undefined
  /** The name that pg_stat_activity shows. Defaults to tripwire-storage. */
  readonly applicationName?: string | undefined
}

export interface ParsedStoreOptions {
  readonly connectionString: string
  readonly batchSize: number
  readonly flushIntervalMs: number
  readonly maxBufferedAlerts: number
  readonly deduplicationWindowMs: number
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  readonly closeTimeoutMs: number
  readonly applicationName: string
}

const NAMES = [
  'connectionString',
  'batchSize',
  'flushIntervalMs',
  'maxBufferedAlerts',
  'deduplicationWindowMs',
  'maxConnections',
  'connectTimeoutMs',
  'closeTimeoutMs',
  'applicationName',
] as const satisfies readonly (keyof StoreOptions)[]

/**
 * Checks the options and fills in the defaults. The connection string is checked where it is used.
 * @throws InvalidInputError
 */
export function parseStoreOptions(options: unknown): ParsedStoreOptions {
  const given = parseObject('options', options, NAMES)
  const wait = (name: 'flushIntervalMs' | 'connectTimeoutMs' | 'closeTimeoutMs', byDefault: number) =>
    parseInteger(name, given[name] ?? byDefault, 1, LONGEST_WAIT_MS)
  const batchSize = parseInteger('batchSize', given.batchSize ?? DEFAULT_BATCH_SIZE, 1, 5000)
  const maxBufferedAlerts = given.maxBufferedAlerts ?? Math.max(DEFAULT_MAX_BUFFERED_ALERTS, batchSize)
  return {
    connectionString:
      typeof given.connectionString === 'string' ? given.connectionString : refuseConnection(given),
    batchSize,
    flushIntervalMs: wait('flushIntervalMs', DEFAULT_FLUSH_INTERVAL_MS),
    maxBufferedAlerts: parseInteger('maxBufferedAlerts', maxBufferedAlerts, batchSize, 10_000_000),
    deduplicationWindowMs: parseWindow(given.deduplicationWindowMs ?? DEFAULT_DEDUPLICATION_WINDOW_MS),
    maxConnections: parseInteger('maxConnections', given.maxConnections ?? DEFAULT_MAX_CONNECTIONS, 1, 1000),
    connectTimeoutMs: wait('connectTimeoutMs', DEFAULT_CONNECT_TIMEOUT_MS),
    closeTimeoutMs: wait('closeTimeoutMs', DEFAULT_CLOSE_TIMEOUT_MS),
    applicationName: parseText('applicationName', given.applicationName ?? DEFAULT_APPLICATION_NAME, 63),
  }
}

function refuseConnection(given: { readonly connectionString?: unknown }): never {
  throw new InvalidInputError('connectionString', given.connectionString, 'a PostgreSQL connection URL', {
    code: 'INVALID_CONNECTION_STRING',
  })
}

function parseWindow(value: unknown): number {
  if (value === Number.POSITIVE_INFINITY) return value
  return parseInteger('deduplicationWindowMs', value, 0, LONGEST_WINDOW_MS)
}
