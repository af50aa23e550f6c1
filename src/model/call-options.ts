import { InvalidInputError } from '../errors.ts'
import { parseInteger } from './input.ts'

const LONGEST_TIMEOUT_MS = 86_400_000

/** What one call may take. */
export interface CallOptions {
  /** Ends the call: the server is told to stop working on it, and the call throws the reason of the signal. */
  readonly signal?: AbortSignal | undefined
  /**
   * How long the call may take, the wait for a connection included, 1 to 86,400,000 ms. After that the server is told to stop,
   * and the call throws TIMEOUT. Defaults to `queryTimeoutMs` of the store.
   */
  readonly timeoutMs?: number | undefined
}

export const CALL_OPTIONS = ['signal', 'timeoutMs'] as const

/** @throws InvalidInputError */
export function parseCallOptions(
  name: string,
  { signal, timeoutMs }: { readonly signal?: unknown; readonly timeoutMs?: unknown },
): CallOptions {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidInputError(`${name}.signal`, signal, 'an AbortSignal')
  }
  return {
    signal,
    timeoutMs:
      timeoutMs === undefined
        ? undefined
        : parseInteger(`${name}.timeoutMs`, timeoutMs, 1, LONGEST_TIMEOUT_MS),
  }
}
