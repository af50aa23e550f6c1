import { isRetryable, TripwireStorageError } from '../../src/index.ts'

/** How a call may fail: the alerts were not taken, or nobody knows. */
export type Failure = 'closed' | 'full' | 'away'

/**
 * What an error of a writing call means. With a spool, a database that is away must not be seen by callers at all.
 * @returns `undefined` when the call must not fail like this.
 */
export function failureOf(error: unknown, hasSpool: boolean): Failure | undefined {
  if (!(error instanceof TripwireStorageError)) return undefined
  if (error.code === 'STORE_CLOSED') return 'closed'
  if (error.code === (hasSpool ? 'SPOOL_FULL' : 'OVERLOADED')) return 'full'
  return !hasSpool && isRetryable(error) ? 'away' : undefined
}

export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? ` ${String(error.code)}` : ''
  const sqlState = 'sqlState' in error && error.sqlState ? ` ${String(error.sqlState)}` : ''
  return `${error.name}${code}${sqlState}: ${error.message}\n${error.stack ?? ''}`
}
