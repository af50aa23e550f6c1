import pg from 'pg'
import { DatabaseError, type ErrorCode, TripwireStorageError } from '../errors.ts'
import { SQLSTATE, SQLSTATE_CLASS } from './sqlstate.ts'

const CONNECTION_STATES: ReadonlySet<string> = new Set([
  SQLSTATE.adminShutdown,
  SQLSTATE.crashShutdown,
  SQLSTATE.cannotConnectNow,
])
const READ_ONLY_HINT =
  'connect to the primary server: a standby takes no writes; or see what makes transactions read-only: SHOW default_transaction_read_only'
const CONNECTION_CLASSES: ReadonlySet<string> = new Set([
  SQLSTATE_CLASS.connectionException,
  SQLSTATE_CLASS.invalidAuthorization,
  SQLSTATE_CLASS.invalidCatalogName,
])

/**
 * Turns an error of the driver into one of ours.
 * What the server said carries an SQLSTATE; everything else that the driver throws is about the connection. Errors of the
 * language itself are defects and pass through unchanged.
 */
export function fromDriver(error: unknown): unknown {
  if (error instanceof TripwireStorageError) return error
  if (error instanceof pg.DatabaseError) {
    return new DatabaseError(codeOf(error.code), error.message, {
      cause: error,
      hint: error.hint ?? error.detail ?? hintFor(error.code),
      sqlState: error.code,
      table: error.table,
      column: error.column,
      constraint: error.constraint,
    })
  }
  // An AbortSignal's own reason.
  if (error instanceof DOMException) return error
  if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError) return error
  return new DatabaseError('CONNECTION_FAILED', messageOf(error), {
    cause: error,
    hint: 'check that the server runs and that the connection string names it',
  })
}

function codeOf(sqlState: string | undefined): ErrorCode {
  if (sqlState === undefined) return 'QUERY_FAILED'
  if (sqlState === SQLSTATE.foreignKeyViolation) return 'UNKNOWN_HOST'
  if (sqlState === SQLSTATE.uniqueViolation) return 'ALREADY_EXISTS'
  const isConnection = CONNECTION_STATES.has(sqlState) || CONNECTION_CLASSES.has(sqlState.slice(0, 2))
  return isConnection ? 'CONNECTION_FAILED' : 'QUERY_FAILED'
}

function hintFor(sqlState: string | undefined): string | undefined {
  return sqlState === SQLSTATE.readOnlySqlTransaction ? READ_ONLY_HINT : undefined
}

/** Node reports a refused connection to a name with several addresses as an AggregateError with an empty message. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError) {
    return error.errors.map(each => (each instanceof Error ? each.message : String(each))).join('; ')
  }
  return error instanceof Error ? error.message : String(error)
}
