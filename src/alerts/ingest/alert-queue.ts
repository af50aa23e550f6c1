import { bytesInMemory } from './memory-limit.ts'
import type { QueuedAlert, Submission } from './submission.ts'

const COMPACT_AFTER = 10_000

/** Alerts in the order in which they came, taken in batches. */
export class AlertQueue {
  #queued: QueuedAlert[] = []
  #first = 0

  get length(): number {
    return this.#queued.length - this.#first
  }

  add(submission: Submission): void {
    submission.alerts.forEach((alert, index) => {
      this.#queued.push({ alert, submission, index })
    })
  }

  /** Takes at least one alert, and no more than either limit allows. */
  take(maxAlerts: number, maxBytes: number): readonly QueuedAlert[] {
    const start = this.#first
    let bytes = 0
    while (this.#first < this.#queued.length && this.#first - start < maxAlerts) {
      const next = this.#queued[this.#first]
      if (!next) break
      bytes += bytesInMemory(next.alert)
      if (bytes > maxBytes && this.#first > start) break
      this.#first++
    }
    const batch = this.#queued.slice(start, this.#first)
    this.#compact()
    return batch
  }

  takeAll(): readonly QueuedAlert[] {
    return this.take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
  }

  /** What was taken must not stay in memory; shifting an array at every batch would cost too much. */
  #compact(): void {
    if (this.#first === this.#queued.length) this.#queued = []
    else if (this.#first >= COMPACT_AFTER) this.#queued = this.#queued.slice(this.#first)
    else return
    this.#first = 0
  }
}
