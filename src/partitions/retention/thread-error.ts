import { DatabaseError, type ErrorCode, TripwireStorageError } from '../../errors.ts'

/** An error on its way between threads: what is sent between them loses its class. */
export interface ThreadError {
  readonly message: string
  /** Absent: a defect, and none of our errors. */
  readonly code?: ErrorCode
  readonly hint?: string | undefined
  readonly cause?: unknown
  readonly database?: {
    readonly sqlState: string | undefined
    readonly table: string | undefined
    readonly column: string | undefined
    readonly constraint: string | undefined
  }
}

export function packError(error: unknown): ThreadError {
  if (!(error instanceof TripwireStorageError)) return { message: String(error), cause: plain(error) }
  const { message, code, hint, cause } = error
  const packed = { message, code, hint, cause: plain(cause) }
  if (!(error instanceof DatabaseError)) return packed
  const { sqlState, table, column, constraint } = error
  return { ...packed, database: { sqlState, table, column, constraint } }
}

export function unpackError({ message, code, hint, cause, database }: ThreadError): Error {
  if (code === undefined) return new Error(message, { cause })
  if (database === undefined) return new TripwireStorageError(code, message, { hint, cause })
  return new DatabaseError(code, message, { hint, cause, ...database })
}

/** Errors of others may hold what cannot be sent, such as sockets. Their own causes are left behind. */
function plain(cause: unknown): unknown {
  if (!(cause instanceof Error)) return undefined
  const copy = new Error(cause.message)
  copy.name = cause.name
  if (cause.stack !== undefined) copy.stack = cause.stack
  return copy
}
