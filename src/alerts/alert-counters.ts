import type { AlertOutcome } from './store-batch.ts'

export interface AlertCounts {
  /** Alerts taken since the store was opened. Always the sum of the other four. */
  readonly accepted: number
  readonly stored: number
  /** Alerts that the database held already. */
  readonly duplicate: number
  /** Alerts that the database refused one by one. They were handed back, or wait for the next flush. */
  readonly refused: number
  /** Alerts that wait in memory or are on their way. */
  readonly inFlight: number
}

/** Counts what was taken and what became of it. What is not settled is in flight. */
export class AlertCounters {
  #accepted = 0
  readonly #settled = { stored: 0, duplicate: 0, refused: 0 }

  accept(count: number): void {
    this.#accepted += count
  }

  settle(outcome: AlertOutcome['kind']): void {
    this.#settled[outcome]++
  }

  snapshot(): AlertCounts {
    const { stored, duplicate, refused } = this.#settled
    return {
      accepted: this.#accepted,
      stored,
      duplicate,
      refused,
      inFlight: this.#accepted - stored - duplicate - refused,
    }
  }
}
