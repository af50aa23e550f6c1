import { setTimeout as sleep } from 'node:timers/promises'
import { Violation } from './violation.ts'

/** @throws Violation when `work` has not ended in time: nothing here may wait for ever. */
export async function bounded<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const timeIsOver = sleep(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Violation(`${what} did not end within ${ms} ms`)
  })
  timeIsOver.catch(() => undefined)
  try {
    return await Promise.race([work, timeIsOver])
  } finally {
    timer.abort()
    work.catch(() => undefined)
  }
}

const RETRY_MS = 50

/** Tries again until it works. @throws the last error when the time is over. */
export async function untilItWorks<T>(ms: number, attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + ms
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(RETRY_MS)
    }
  }
}
