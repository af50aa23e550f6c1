import { TripwireStorageError } from '../errors.ts'

/** What a user allows one call. */
export interface CallLimits {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

/**
 * Runs `work` with a signal that is aborted when the caller's is, or when the time is over.
 * @throws TripwireStorageError TIMEOUT, the reason of the caller's signal, and what `work` throws before.
 */
export async function withinLimits<T>(
  { signal, timeoutMs }: CallLimits,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const timer = new AbortController()
  const timeout =
    timeoutMs === undefined ? undefined : setTimeout(() => timer.abort(timedOut(timeoutMs)), timeoutMs)
  try {
    return await work(signal ? AbortSignal.any([signal, timer.signal]) : timer.signal)
  } catch (error) {
    signal?.throwIfAborted()
    timer.signal.throwIfAborted()
    throw error
  } finally {
    clearTimeout(timeout)
  }
}

function timedOut(timeoutMs: number): TripwireStorageError {
  return new TripwireStorageError('TIMEOUT', `the call took longer than ${timeoutMs} ms, and was cancelled`, {
    hint: 'ask for less at once, or raise timeoutMs',
  })
}
