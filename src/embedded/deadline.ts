import { setTimeout as sleep } from 'node:timers/promises'

/** A moment after which waiting ends. It follows the monotonic clock, so setting the clock does not move it. */
export class Deadline {
  readonly #end: number

  constructor(ms: number) {
    this.#end = performance.now() + ms
  }

  /** The time left in milliseconds, never below zero. */
  get remainingMs(): number {
    return Math.max(0, this.#end - performance.now())
  }

  get passed(): boolean {
    return this.remainingMs === 0
  }
}

const POLL_INTERVAL_MS = 25

/** Asks again and again until the answer is yes. Returns `false` when the deadline passed first. */
export async function pollUntil(
  condition: () => boolean | Promise<boolean>,
  deadline: Deadline,
): Promise<boolean> {
  while (!(await condition())) {
    if (deadline.passed) return false
    await sleep(Math.min(POLL_INTERVAL_MS, deadline.remainingMs))
  }
  return true
}
