import type { ImportReport, ImportTally } from './import-report.ts'

const INTERVAL_MS = 250

/** Shows how far an import is, at most four times a second, without a timer. */
export class ImportProgress {
  readonly #tally: ImportTally
  readonly #onProgress: (report: ImportReport, bytesRead: number) => void
  readonly #now: () => number
  #bytesRead = 0
  #shownAt: number

  constructor(
    tally: ImportTally,
    onProgress: (report: ImportReport, bytesRead: number) => void,
    now: () => number,
  ) {
    this.#tally = tally
    this.#onProgress = onProgress
    this.#now = now
    this.#shownAt = now()
  }

  /** The same chunks, counted. */
  async *counting(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.#bytesRead += chunk.length
      yield chunk
    }
  }

  /** Shows the report if the last one was shown 250 ms ago or longer. */
  tick(): void {
    if (this.#now() - this.#shownAt >= INTERVAL_MS) this.show()
  }

  show(): void {
    this.#shownAt = this.#now()
    this.#onProgress(this.#tally.report(), this.#bytesRead)
  }
}
