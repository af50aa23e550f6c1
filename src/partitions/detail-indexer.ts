import type { DetailIndexReport } from '../model/partition.ts'

export interface DetailIndexerOptions {
  readonly index: () => Promise<DetailIndexReport>
  /** Called after a run that built something, or failed to. */
  readonly onFinished: (report: DetailIndexReport) => void
  /** Called when a run could not be made at all. */
  readonly onFailed: (error: unknown) => void
}

/** Indexes details in the background, one run at a time: a build may have to wait for hours, and the maintenance must not. */
export class DetailIndexer {
  readonly #options: DetailIndexerOptions
  #running: Promise<void> | undefined

  constructor(options: DetailIndexerOptions) {
    this.#options = options
  }

  /** Begins a run, unless one is under way. */
  start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Is done when no run is under way. */
  async settled(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      const report = await this.#options.index()
      if (report.indexed.length + report.failures.length > 0) this.#options.onFinished(report)
    } catch (error) {
      this.#options.onFailed(error)
    }
  }
}
