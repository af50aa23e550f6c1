/** Wakes those who wait for news. One that comes between a look and the wait is not lost. */
export class WakeSignal {
  #count = 0
  readonly #waiting = new Set<() => void>()

  /** To be taken before the look. */
  get count(): number {
    return this.#count
  }

  wake(): void {
    this.#count++
    for (const resolve of [...this.#waiting]) resolve()
  }

  /** Until it woke after `count` was taken, the time is over, or the signal is aborted; it throws nothing. */
  async wait(count: number, longestMs: number, signal: AbortSignal): Promise<void> {
    if (count !== this.#count || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const done = () => resolve()
    const timer = setTimeout(done, longestMs)
    this.#waiting.add(done)
    signal.addEventListener('abort', done)
    await promise
    clearTimeout(timer)
    this.#waiting.delete(done)
    signal.removeEventListener('abort', done)
  }
}
