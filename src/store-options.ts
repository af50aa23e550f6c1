import { InvalidInputError } from './errors.ts'
import { parseBoolean, parseInteger, parseObject, parseOneOf, parseText } from './model/input.ts'
import { DETAIL_INDEX_MONTHS, type DetailIndexMonths, type RetentionOptions } from './model/partition.ts'
import { DEFAULT_MONTHS_AHEAD, parseMonthsAhead } from './partitions/ensure-partitions.ts'
import { parseRetention, type RetentionPolicy } from './partitions/retention/retention-policy.ts'

export const DEFAULT_BATCH_SIZE = 100
export const DEFAULT_FLUSH_INTERVAL_MS = 100
export const DEFAULT_MAX_BUFFERED_ALERTS = 20_000
export const DEFAULT_MAX_BUFFERED_BYTES = 67_108_864
export const DEFAULT_OVERLOAD_WAIT_MS = 1000
export const DEFAULT_WRITER_CONNECTIONS = 2
export const DEFAULT_WRITE_TIMEOUT_MS = 30_000
export const DEFAULT_RETRY_FOR_MS = 5000
export const DEFAULT_SPOOL_MAX_BYTES = 1_073_741_824
export const DEFAULT_DEDUPLICATE_ALL_MONTHS = false
export { DEFAULT_MONTHS_AHEAD }
export const DEFAULT_DETAIL_INDEX_MONTHS = 'closed'
export const DEFAULT_TAIL_KEEP_HOURS = 72
export const DEFAULT_NOTIFY_TAILS = true
export const DEFAULT_MAINTENANCE_INTERVAL_MS = 3_600_000
export const DEFAULT_MAX_CONNECTIONS = 10
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000
export const DEFAULT_QUERY_TIMEOUT_MS = 60_000
export const DEFAULT_PREPARED_STATEMENTS = true
export const DEFAULT_CLOSE_TIMEOUT_MS = 10_000
export const DEFAULT_APPLICATION_NAME = 'tripwire-storage'

const LONGEST_WAIT_MS = 86_400_000
const SMALLEST_BYTES = 1_048_576
const LARGEST_BYTES = 2 ** 40
const LONGEST_PATH = 4096
const LONGEST_TAIL_HOURS = 8760

type WaitName =
  | 'flushIntervalMs'
  | 'overloadWaitMs'
  | 'writeTimeoutMs'
  | 'retryForMs'
  | 'connectTimeoutMs'
  | 'queryTimeoutMs'
  | 'closeTimeoutMs'

export interface StoreOptions {
  /** `postgres://user:password@host:5432/database`, with the driver's parameters, such as `?sslmode=verify-full`. */
  readonly connectionString: string
  /** How many alerts fill a batch: the call that fills it returns after its flush. 1 to 5,000. Defaults to 100. */
  readonly batchSize?: number | undefined
  /** The longest that an alert waits for its batch to fill, 1 to 86,400,000 ms. Defaults to 100. */
  readonly flushIntervalMs?: number | undefined
  /** How many alerts may be in memory, from `batchSize` to 10,000,000. Beyond that, calls wait. Defaults to 20,000. */
  readonly maxBufferedAlerts?: number | undefined
  /** How many bytes of alerts may be in memory, 1,048,576 to 2^40. Beyond that, calls wait. Defaults to 67,108,864, 64 MiB. */
  readonly maxBufferedBytes?: number | undefined
  /** How long a call waits for room in memory before it is refused with OVERLOADED, 1 to 86,400,000 ms. Defaults to 1,000. */
  readonly overloadWaitMs?: number | undefined
  /** How many batches may be on their way to the database at once, each on a connection of its own. 1 to 64. Defaults to 2. */
  readonly writerConnections?: number | undefined
  /** How long the database may take for a batch before the connection is given up, 1 to 86,400,000 ms. Defaults to 30,000. */
  readonly writeTimeoutMs?: number | undefined
  /** How long a batch is tried again after a passing error, such as a lost connection, 1 to 86,400,000 ms. Defaults to 5,000. */
  readonly retryForMs?: number | undefined
  /**
   * A folder on a local disk for a spool: it takes alerts while the database is away, and brings them in when it is back.
   * One process at a time may use it. Without it, calls fail while the database is away.
   */
  readonly spoolDir?: string | undefined
  /** How many bytes of alerts the spool may hold, 1,048,576 to 2^40. Defaults to 1,073,741,824, 1 GiB. */
  readonly spoolMaxBytes?: number | undefined
  /**
   * Whether an alert is looked for in all months before it is stored. Otherwise it is recognised in the month that is being
   * written, and seven days back. It takes one index look-up a month and alert, and excludes COPY. Defaults to false.
   */
  readonly deduplicateAllMonths?: boolean | undefined
  /**
   * The pause between two runs of the maintenance, up to 86,400,000 ms; the first run is at the start. 0 turns it off: then
   * a scheduler has to call it. Defaults to 3,600,000, an hour.
   */
  readonly maintenanceIntervalMs?: number | undefined
  /** How many months the maintenance makes ahead of the present one, 0 to 120. Defaults to 3. */
  readonly monthsAhead?: number | undefined
  /**
   * Of which months the store indexes the details in the background, so that `detail` finds what is rare: `closed` ones, which ended a day ago or
   * earlier, `every` month, which makes storing an alert about a third dearer, or `none`. Defaults to closed.
   */
  readonly detailIndexMonths?: DetailIndexMonths | 'none' | undefined
  /** How many hours back a tail can begin or go on: so long the maintenance keeps the journal of alerts, 1 to 8,760. Defaults to 72. */
  readonly tailKeepHours?: number | undefined
  /**
   * Whether those who follow alerts are woken after a flush, by NOTIFY, 20 times a second at the most. Without it they find alerts when
   * they look by themselves. Defaults to true.
   */
  readonly notifyTails?: boolean | undefined
  /** Which months the maintenance takes out, as `applyRetention` does. By default none. */
  readonly retention?: RetentionOptions | undefined
  /** The most connections for everything but the writing of alerts, 1 to 1,000. Defaults to 10. */
  readonly maxConnections?: number | undefined
  /** How long to wait for a connection, 1 to 86,400,000 ms. Defaults to 10,000. */
  readonly connectTimeoutMs?: number | undefined
  /** How long a call that reads may take, unless it brings its own `timeoutMs`, 1 to 86,400,000 ms. Defaults to 60,000. */
  readonly queryTimeoutMs?: number | undefined
  /**
   * Whether short statements that come again and again are prepared on the server. They never are where a pooler stands between,
   * which is found out for each connection. Defaults to true.
   */
  readonly preparedStatements?: boolean | undefined
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
  readonly maxBufferedBytes: number
  readonly overloadWaitMs: number
  readonly writerConnections: number
  readonly writeTimeoutMs: number
  readonly retryForMs: number
  readonly spoolDir: string | undefined
  readonly spoolMaxBytes: number
  readonly deduplicateAllMonths: boolean
  readonly maintenanceIntervalMs: number
  readonly monthsAhead: number
  readonly detailIndexMonths: DetailIndexMonths | 'none'
  readonly tailKeepHours: number
  readonly notifyTails: boolean
  readonly retention: RetentionPolicy | undefined
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  readonly queryTimeoutMs: number
  readonly preparedStatements: boolean
  readonly closeTimeoutMs: number
  readonly applicationName: string
}

const NAMES = [
  'connectionString',
  'batchSize',
  'flushIntervalMs',
  'maxBufferedAlerts',
  'maxBufferedBytes',
  'overloadWaitMs',
  'writerConnections',
  'writeTimeoutMs',
  'retryForMs',
  'spoolDir',
  'spoolMaxBytes',
  'deduplicateAllMonths',
  'maintenanceIntervalMs',
  'monthsAhead',
  'detailIndexMonths',
  'tailKeepHours',
  'notifyTails',
  'retention',
  'maxConnections',
  'connectTimeoutMs',
  'queryTimeoutMs',
  'preparedStatements',
  'closeTimeoutMs',
  'applicationName',
] as const satisfies readonly (keyof StoreOptions)[]

/**
 * Checks the options and fills in the defaults. The connection string is checked where it is used.
 * @throws InvalidInputError
 */
export function parseStoreOptions(options: unknown): ParsedStoreOptions {
  const given = parseObject('options', options, NAMES)
  const wait = (name: WaitName, byDefault: number) =>
    parseInteger(name, given[name] ?? byDefault, 1, LONGEST_WAIT_MS)
  const bytes = (name: 'maxBufferedBytes' | 'spoolMaxBytes', byDefault: number) =>
    parseInteger(name, given[name] ?? byDefault, SMALLEST_BYTES, LARGEST_BYTES)
  const batchSize = parseInteger('batchSize', given.batchSize ?? DEFAULT_BATCH_SIZE, 1, 5000)
  const maxBufferedAlerts = given.maxBufferedAlerts ?? Math.max(DEFAULT_MAX_BUFFERED_ALERTS, batchSize)
  return {
    connectionString:
      typeof given.connectionString === 'string' ? given.connectionString : refuseConnection(given),
    batchSize,
    flushIntervalMs: wait('flushIntervalMs', DEFAULT_FLUSH_INTERVAL_MS),
    maxBufferedAlerts: parseInteger('maxBufferedAlerts', maxBufferedAlerts, batchSize, 10_000_000),
    maxBufferedBytes: bytes('maxBufferedBytes', DEFAULT_MAX_BUFFERED_BYTES),
    overloadWaitMs: wait('overloadWaitMs', DEFAULT_OVERLOAD_WAIT_MS),
    writerConnections: parseInteger(
      'writerConnections',
      given.writerConnections ?? DEFAULT_WRITER_CONNECTIONS,
      1,
      64,
    ),
    writeTimeoutMs: wait('writeTimeoutMs', DEFAULT_WRITE_TIMEOUT_MS),
    retryForMs: wait('retryForMs', DEFAULT_RETRY_FOR_MS),
    spoolDir: given.spoolDir === undefined ? undefined : parseText('spoolDir', given.spoolDir, LONGEST_PATH),
    spoolMaxBytes: bytes('spoolMaxBytes', DEFAULT_SPOOL_MAX_BYTES),
    deduplicateAllMonths: parseBoolean(
      'deduplicateAllMonths',
      given.deduplicateAllMonths ?? DEFAULT_DEDUPLICATE_ALL_MONTHS,
    ),
    maintenanceIntervalMs: parseInteger(
      'maintenanceIntervalMs',
      given.maintenanceIntervalMs ?? DEFAULT_MAINTENANCE_INTERVAL_MS,
      0,
      LONGEST_WAIT_MS,
    ),
    monthsAhead: parseMonthsAhead(given.monthsAhead),
    detailIndexMonths: parseOneOf(
      'detailIndexMonths',
      given.detailIndexMonths ?? DEFAULT_DETAIL_INDEX_MONTHS,
      [...DETAIL_INDEX_MONTHS, 'none'],
    ),
    tailKeepHours: parseInteger(
      'tailKeepHours',
      given.tailKeepHours ?? DEFAULT_TAIL_KEEP_HOURS,
      1,
      LONGEST_TAIL_HOURS,
    ),
    notifyTails: parseBoolean('notifyTails', given.notifyTails ?? DEFAULT_NOTIFY_TAILS),
    retention: given.retention === undefined ? undefined : parseRetention('retention', given.retention),
    maxConnections: parseInteger('maxConnections', given.maxConnections ?? DEFAULT_MAX_CONNECTIONS, 1, 1000),
    connectTimeoutMs: wait('connectTimeoutMs', DEFAULT_CONNECT_TIMEOUT_MS),
    queryTimeoutMs: wait('queryTimeoutMs', DEFAULT_QUERY_TIMEOUT_MS),
    preparedStatements: parseBoolean(
      'preparedStatements',
      given.preparedStatements ?? DEFAULT_PREPARED_STATEMENTS,
    ),
    closeTimeoutMs: wait('closeTimeoutMs', DEFAULT_CLOSE_TIMEOUT_MS),
    applicationName: parseText('applicationName', given.applicationName ?? DEFAULT_APPLICATION_NAME, 63),
  }
}

function refuseConnection(given: { readonly connectionString?: unknown }): never {
  throw new InvalidInputError(
    'connectionString',
    typeof given.connectionString,
    'a PostgreSQL connection URL',
    {
      code: 'INVALID_CONNECTION_STRING',
    },
  )
}
