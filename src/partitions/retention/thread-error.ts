import { DatabaseError, type ErrorCode, TripwireStorageError } from '../../errors.ts'

/** An error on its way between threads: what is sent between them loses its class. */
export interface ThreadError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Of ours. */
  readonly code: ErrorCode | undefined
  readonly hint: string | undefined
  /** Of the file system or the network: ENOSPC. */
  readonly systemCode: string | undefined
  readonly database: DatabaseFields | undefined
  readonly cause: ThreadError | undefined
}

interface DatabaseFields {
  readonly sqlState: string | undefined
  readonly table: string | undefined
  readonly column: string | undefined
  readonly constraint: string | undefined
}

export function packError(error: unknown): ThreadError {
  const { name, message, stack, cause } = error instanceof Error ? error : new Error(String(error))
  const ours = error instanceof TripwireStorageError ? error : undefined
  return {
    name,
    message,
    stack,
    code: ours?.code,
    hint: ours?.hint,
    systemCode: ours ? undefined : systemCodeOf(error),
    database: error instanceof DatabaseError ? databaseFields(error) : undefined,
    cause: cause instanceof Error ? packError(cause) : undefined,
  }
}

export function unpackError({
  name,
  message,
  stack,
  code,
  hint,
  systemCode,
  database,
  cause: packed,
}: ThreadError): Error {
  const cause = packed && unpackError(packed)
  if (code !== undefined) {
    return database
      ? new DatabaseError(code, message, { hint, cause, ...database })
      : new TripwireStorageError(code, message, { hint, cause })
  }
  const error = new Error(message, { cause })
  error.name = name
  if (stack !== undefined) error.stack = stack
  return systemCode === undefined ? error : Object.assign(error, { code: systemCode })
}

function databaseFields({ sqlState, table, column, constraint }: DatabaseError): DatabaseFields {
  return { sqlState, table, column, constraint }
}

function systemCodeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : undefined
}
