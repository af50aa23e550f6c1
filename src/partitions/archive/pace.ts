import { setTimeout as sleep } from 'node:timers/promises'

/** How long the maintenance rests after a piece of work, as a share of the time that it took. */
export const PAUSE_SHARE = 1
const LONGEST_PAUSE_MS = 250

/** Leaves the processor and the disk to those who insert and query: after each piece of work comes a pause. */
export class Pace {
  readonly #share: number
  #startedAt = performance.now()

  /** @param share 0 for no pauses. */
  constructor(share: number) {
    this.#share = share
  }

  /** Called between two pieces of work. */
  async rest(signal?: AbortSignal): Promise<void> {
    const pauseMs = Math.min((performance.now() - this.#startedAt) * this.#share, LONGEST_PAUSE_MS)
    if (pauseMs > 0) await sleep(pauseMs, undefined, signal ? { signal } : {})
    this.#startedAt = performance.now()
  }
}
