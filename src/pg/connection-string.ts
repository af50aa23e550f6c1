import { type ConnectionOptions, parse } from 'pg-connection-string'
import { InvalidInputError } from '../errors.ts'

const SCHEME = /^postgres(?:ql)?:\/\//i
const HINT = 'write it as postgres://user:password@host:5432/database; escape special characters with %'

/**
 * Checks a connection string and takes it apart.
 * The error never holds the password: neither in its message nor in its value, and the parser's own error,
 * which quotes its input, is left out.
 * @throws InvalidInputError with the code INVALID_CONNECTION_STRING.
 */
export function parseConnectionString(field: string, value: unknown): ConnectionOptions {
  const refused = () => {
    const shown = typeof value === 'string' ? maskPassword(value) : typeof value
    const details = { code: 'INVALID_CONNECTION_STRING', hint: HINT } as const
    return new InvalidInputError(field, shown, 'a PostgreSQL connection URL', details)
  }
  if (typeof value !== 'string' || !SCHEME.test(value)) throw refused()
  let parsed: ConnectionOptions
  try {
    parsed = parse(value)
  } catch {
    throw refused()
  }
  const port =
    parsed.port === undefined || parsed.port === null || parsed.port === '' ? 5432 : Number(parsed.port)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw refused()
  return parsed
}

/**
 * Replaces every password in a connection string by `***`, also where the string is malformed. Where it cannot be told
 * where the password ends, everything that may belong to it goes.
 */
export function maskPassword(connectionString: string): string {
  return connectionString
    .replace(/^([a-z]+:\/\/)?([^:@/?#]*):.*@/is, '$1$2:***@')
    .replace(/^([a-z]+:\/\/[^:@/?#]*):(?!\*\*\*@|\d{1,5}(?:[/?#]|$))[^@]*$/is, '$1:***')
    .replace(/((?:password|passfile)\s*=\s*)('[^']*'|[^&\s]+)/gi, '$1***')
}
