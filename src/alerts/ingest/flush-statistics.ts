/** How many of the last flushes the percentiles are taken over. */
const REMEMBERED_FLUSHES = 1024

export interface FlushStats {
  /** Batches that the database answered for. */
  readonly flushes: number
  /** Attempts that were made again after a passing error. */
  readonly retries: number
  /** Batches that were given up. */
  readonly failedFlushes: number
  /** Alerts a flush, over the last 1,024 flushes. */
  readonly meanBatchSize: number
  /** From the taking of a batch to its commit, in milliseconds, over the last 1,024 flushes. */
  readonly flushP50Ms: number
  readonly flushP99Ms: number
}

/** Hears of each flush, for metrics. */
export interface FlushListener {
  recordFlush(alerts: number, durationMs: number): void
  recordRetry(): void
}

/** Measures flushes. */
export class FlushStatistics {
  readonly #listener: FlushListener
  #flushes = 0
  #retries = 0
  #failures = 0
  readonly #durations: number[] = []
  readonly #sizes: number[] = []

  constructor(listener: FlushListener) {
    this.#listener = listener
  }

  recordFlush(alerts: number, durationMs: number): void {
    const slot = this.#flushes % REMEMBERED_FLUSHES
    this.#durations[slot] = durationMs
    this.#sizes[slot] = alerts
    this.#flushes++
    this.#listener.recordFlush(alerts, durationMs)
  }

  recordRetry(): void {
    this.#retries++
    this.#listener.recordRetry()
  }

  recordFailure(): void {
    this.#failures++
  }

  snapshot(): FlushStats {
    const durations = this.#durations.toSorted((a, b) => a - b)
    const percentile = (share: number) => durations[Math.ceil(share * durations.length) - 1] ?? 0
    const alerts = this.#sizes.reduce((sum, size) => sum + size, 0)
    return {
      flushes: this.#flushes,
      retries: this.#retries,
      failedFlushes: this.#failures,
      meanBatchSize: this.#sizes.length === 0 ? 0 : alerts / this.#sizes.length,
      flushP50Ms: percentile(0.5),
      flushP99Ms: percentile(0.99),
    }
  }
}
