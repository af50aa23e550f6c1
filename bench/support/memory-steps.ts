const SAMPLE_INTERVAL_MS = 20
const STEPS = 10

/** The resident memory of this process at its highest in each tenth of the entries. */
export class MemorySteps implements Disposable {
  readonly bytesBefore = process.memoryUsage.rss()
  readonly #entries: number
  readonly #timer: NodeJS.Timeout
  readonly #steps: number[] = []
  #highest = 0

  constructor(entries: number) {
    this.#entries = entries
    this.#timer = setInterval(() => this.#sample(), SAMPLE_INTERVAL_MS)
  }

  /** @param done how many entries are read. */
  reach(done: number): void {
    while (this.#steps.length < STEPS && done >= ((this.#steps.length + 1) * this.#entries) / STEPS) {
      this.#sample()
      this.#steps.push(this.#highest)
      this.#highest = 0
    }
  }

  finish(): readonly number[] {
    this.reach(this.#entries)
    return this.#steps
  }

  #sample(): void {
    this.#highest = Math.max(this.#highest, process.memoryUsage.rss())
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
