import { TripwireStorageError } from './errors.ts'

/**
 * Waits for `work`, but no longer than `timeoutMs`. The work goes on after that; its error is then nobody's.
 * @throws TripwireStorageError CONNECTION_FAILED when the time is over: what is waited for here is the database.
 */
export async function within<T>(timeoutMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeIsOver = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new TripwireStorageError('CONNECTION_FAILED', `${what} took longer than ${timeoutMs} ms`))
    }, timeoutMs)
  })
  try {
    return await Promise.race([work, timeIsOver])
  } finally {
    clearTimeout(timer)
    work.catch(() => undefined)
  }
}
