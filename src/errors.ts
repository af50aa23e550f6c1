/**
 * Every error this library throws on purpose, and the closed list of their codes.
 * The meaning of each code stands once, here; `docs/reference/errors.md` is checked against it.
 */

/** What each code means. A code that was published keeps its meaning and is never used for another. */
export const ERROR_CODES = {
  INVALID_INPUT: 'A value given by the caller is not acceptable. `field` and `value` say which.',
  UNKNOWN_OPTION: 'An option was given that does not exist. The hint names the likely one.',
  INVALID_CONNECTION_STRING: 'The connection string cannot be parsed. The password is masked in the message.',
  NOT_FOUND: 'The row to be changed does not exist.',
  UNKNOWN_HOST: 'A row names a host that is not registered.',
  ALERT_CONFLICT:
    'An alert with the same id and host is stored already, with other content. The first content stays.',
  ALREADY_EXISTS: 'A row with the same key exists already.',
  DUPLICATE_ALERTS:
    'A month that was made by hand holds alerts twice, so it cannot get the unique index that refuses resends.',
  OVERLOADED:
    'Too much waits for the database already, so the alert or the audit entry was not taken. Try again after `retryAfterMs`.',
  ALERTS_NOT_STORED: 'Alerts were taken but could not be stored. `alerts` holds them, so none is lost.',
  SPOOL_IN_USE: 'Another process or store has the spool folder.',
  SPOOL_FULL: 'The spool has reached its size limit, or the disk is full, so the alerts were not taken.',
  SPOOL_FAILED: 'The spool folder cannot be used. `cause` says why.',
  TIMEOUT:
    'A call took longer than its `timeoutMs`, and the server was asked to stop it. Nothing was changed.',
  STORE_CLOSED: 'The store was closed and takes no more calls.',
  CONNECTION_FAILED:
    'The database cannot be reached, or the connection broke. The outcome of a write is unknown.',
  QUERY_FAILED: 'The database refused a statement. `sqlState` says why.',
  MALFORMED_ROW: 'The database returned a value that this version cannot represent.',
  NOT_MIGRATED: 'The database has no schema yet, or an older one than this version needs.',
  SCHEMA_TOO_NEW: 'The database was migrated by a newer version that this one is not compatible with.',
  MIGRATION_DIRTY: 'An earlier migration stopped half way and left its mark "dirty".',
  MIGRATION_HISTORY:
    'The migration files, the recorded version and the tables do not fit each other. The message names each difference.',
  MIGRATION_FAILED: 'A migration failed and was rolled back. `cause` holds the error of the database.',
  MIGRATION_LOCKED: 'Another migration holds the lock and did not finish in time.',
  TAIL_EXPIRED:
    'A tail cannot go on from its place: the journal does not reach back so far, or the database is another one or was set back.',
  ARCHIVE_FAILED:
    'A month cannot be archived, or its archive cannot be read: the table, the folder or the disk. `cause` says why.',
  ARCHIVE_MISMATCH:
    'An archive is not what its manifest says, or not what the table holds. Nothing was dropped or restored.',
  MONTH_EXISTS: 'The month is in the database already, so its archive was not restored.',
  AUDIT_NOT_CONTINUED:
    'An audit entry does not continue the chain of its host: a gap, a fork, or another previous hash. `expected` says what would.',
  AUDIT_DAMAGED:
    'The audit log is damaged, so no checkpoint was signed over it. `findings` says where and how.',
  AUDIT_KEY_UNUSABLE: 'A file holds no such key, or others can read the private key in it.',
  AUDIT_CHECKPOINT_INVALID:
    'A checkpoint is malformed, bears a signature that its key did not make, or its heads are not those that were signed.',
  AUDIT_CHECKPOINT_UNVERIFIED:
    'A checkpoint was signed by none of the keys that were given, so nothing can be told of it.',
  AUDIT_NOT_PROVABLE:
    'Audit entries are of a hash version that is not known here, so no evidence can be made of them.',
  AUDIT_FILE_FAILED: 'A checkpoint, a key or a bundle cannot be read or written. `cause` says why.',
  EMBEDDED_NOT_INSTALLED: 'The PostgreSQL binaries for this platform and version are not installed.',
  EMBEDDED_IN_USE: 'Another process runs the embedded PostgreSQL in this folder.',
  EMBEDDED_WRONG_VERSION: 'The folder holds the data of another major version of PostgreSQL.',
  EMBEDDED_START_FAILED: 'The embedded PostgreSQL did not start. `cause` or the hint tells where its log is.',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface ErrorDetails {
  /** What the reader can do about it: a command, an option, a place to look. */
  readonly hint?: string | undefined
  readonly cause?: unknown
}

/** The base of every error thrown on purpose by this library. */
export class TripwireStorageError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = new.target.name
    this.code = code
    this.hint = details.hint
  }
}

/** A value from the caller that cannot be accepted; thrown before anything reaches the database. */
export class InvalidInputError extends TripwireStorageError {
  /** The name of the field or option, as the caller wrote it: `hostId`, `alerts[3].severity`. */
  readonly field: string
  readonly value: unknown

  constructor(
    field: string,
    value: unknown,
    expected: string,
    details: ErrorDetails & { code?: ErrorCode } = {},
  ) {
    super(
      details.code ?? 'INVALID_INPUT',
      `${field}: expected ${expected}, got ${describeValue(value)}`,
      details,
    )
    this.field = field
    this.value = value
  }
}

/** A row that was named does not exist. */
export class NotFoundError extends TripwireStorageError {
  readonly kind: 'host' | 'rule' | 'alert'
  readonly id: string

  constructor(kind: 'host' | 'rule' | 'alert', id: string) {
    super('NOT_FOUND', `there is no ${kind} with the id ${id}`)
    this.kind = kind
    this.id = id
  }
}

/** Too much waits for the database already. The alert or the audit entry was not taken; nothing was lost. */
export class OverloadedError extends TripwireStorageError {
  /** How long to wait before the next try, in milliseconds. */
  readonly retryAfterMs: number

  constructor(buffered: number, retryAfterMs: number, what: 'alerts' | 'audit entries' = 'alerts') {
    const orRaise = what === 'alerts' ? ', or raise maxBufferedAlerts' : ''
    super('OVERLOADED', `${buffered} ${what} wait for the database already`, {
      hint: `try again in ${retryAfterMs} ms${orRaise}`,
    })
    this.retryAfterMs = retryAfterMs
  }
}

/** Where an entry stands in the audit chain of its host. */
export interface AuditPlace {
  readonly sequenceNum: number
  readonly prevHash: string
}

/** An audit entry does not continue its chain: nothing was stored. */
export class AuditNotContinuedError extends TripwireStorageError {
  readonly hostId: string
  /** What the next entry of the chain has to bring. */
  readonly expected: AuditPlace
  /** What was given. */
  readonly found: AuditPlace

  constructor(
    hostId: string,
    expected: AuditPlace,
    found: AuditPlace,
    message: string,
    details: ErrorDetails = {},
  ) {
    super('AUDIT_NOT_CONTINUED', message, details)
    this.hostId = hostId
    this.expected = expected
    this.found = found
  }
}

/** An error of the database or of the connection to it. */
export class DatabaseError extends TripwireStorageError {
  /** The five characters of the SQL standard, such as `23505`; absent when the connection itself failed. */
  readonly sqlState: string | undefined
  readonly table: string | undefined
  readonly column: string | undefined
  readonly constraint: string | undefined

  constructor(
    code: ErrorCode,
    message: string,
    details: ErrorDetails & {
      sqlState?: string | undefined
      table?: string | undefined
      column?: string | undefined
      constraint?: string | undefined
    },
  ) {
    super(code, message, details)
    this.sqlState = details.sqlState
    this.table = details.table
    this.column = details.column
    this.constraint = details.constraint
  }
}

/** SQLSTATE classes and codes after which the same call may succeed: PostgreSQL, appendix A. */
const RETRYABLE_SQLSTATES: ReadonlySet<string> = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '25P03', // idle_in_transaction_session_timeout
])
const RETRYABLE_CLASSES: ReadonlySet<string> = new Set([
  '08', // connection exception
  '53', // insufficient resources: disk full, too many connections
  '58', // system error: I/O
])

/** Where no SQLSTATE tells. */
const RETRYABLE_CODES: ReadonlySet<ErrorCode> = new Set([
  'CONNECTION_FAILED',
  'MIGRATION_LOCKED',
  'SPOOL_FULL',
])

/**
 * Whether the same call may succeed when it is made again, unchanged.
 * After a lost connection the outcome of a write is unknown; writes of alerts, and of audit entries with `entryIds`, are safe to repeat.
 */
export function isRetryable(error: unknown): boolean {
  if (error instanceof OverloadedError) return true
  if (error instanceof DatabaseError && error.sqlState !== undefined) {
    // A wrong password, too, is a connection that failed; but trying again will not help.
    return RETRYABLE_SQLSTATES.has(error.sqlState) || RETRYABLE_CLASSES.has(error.sqlState.slice(0, 2))
  }
  return error instanceof TripwireStorageError && RETRYABLE_CODES.has(error.code)
}

const LONGEST_DESCRIPTION = 80

function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(shorten(value))
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean') {
    return String(value)
  }
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Date) return `Date(${Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString()})`
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`
}

function shorten(text: string): string {
  return text.length <= LONGEST_DESCRIPTION ? text : `${text.slice(0, LONGEST_DESCRIPTION)}…`
}
