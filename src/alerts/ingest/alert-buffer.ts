import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { AlertOutcome } from './alert-outcome.ts'

/** The most alerts handed over at once, whatever has gathered while the database was away. */
const LARGEST_BATCH = 5000
/** Failed timer flushes wait longer each time, up to this. */
const LONGEST_RETRY_DELAY_MS = 5000

export interface AlertBufferOptions {
  readonly batchSize: number
  readonly flushIntervalMs: number
  /** Makes a batch durable. Throws when it cannot say that it is. */
  readonly write: (alerts: readonly AcceptedAlert[]) => Promise<readonly AlertOutcome[]>
  /** Called when alerts have left the buffer, because they are durable. */
  readonly onSettled: (alerts: readonly AcceptedAlert[], outcomes: readonly AlertOutcome[]) => void
  /** Called after a flush of the timer failed. The alerts stay in the buffer, and the timer tries again. */
  readonly onTimerFlushFailed: (error: unknown, waiting: number) => void
}

/**
 * Gathers alerts and hands them over in batches: when `batchSize` wait, when the oldest has waited `flushIntervalMs`, and
 * when asked to.
 *
 * Invariant: an alert leaves the buffer only after it is durable. So a flush that fails, for whatever reason and at
 * whatever moment, keeps every alert in its place, and the next one sends it again. There is one write at a time,
 * which takes from the front.
 */
export class AlertBuffer {
  readonly #options: AlertBufferOptions
  #waiting: AcceptedAlert[] = []
  #write: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #failedTimerFlushes = 0
  #taken = 0

  constructor(options: AlertBufferOptions) {
    this.#options = options
  }

  /** Takes an alert. The call that fills a batch returns after the flush, and throws what the flush throws. */
  async add(alert: AcceptedAlert): Promise<void> {
    this.#waiting.push(alert)
    this.#taken++
    if (this.#waiting.length >= this.#options.batchSize) return this.flush()
    this.#startTimer(this.#options.flushIntervalMs)
  }

  /** Makes every alert durable that was taken before the call. When it throws, the alerts stay in the buffer. */
  async flush(): Promise<void> {
    const target = this.#taken
    while (this.#waiting.length > 0 && this.#settled() < target) await this.#writeFront()
  }

  /** Takes everything that is left out of the buffer, to hand it to somebody else. */
  abandon(): readonly AcceptedAlert[] {
    this.#stopTimer()
    return this.#waiting.splice(0)
  }

  #settled(): number {
    return this.#taken - this.#waiting.length
  }

  #writeFront(): Promise<void> {
    this.#write ??= this.#writeBatch(this.#waiting.slice(0, LARGEST_BATCH)).finally(() => {
      this.#write = undefined
      if (this.#waiting.length > 0) this.#startTimer(this.#options.flushIntervalMs)
      else this.#stopTimer()
    })
    return this.#write
  }

  async #writeBatch(batch: readonly AcceptedAlert[]): Promise<void> {
    const outcomes = await this.#options.write(batch)
    const wasAbandoned = this.#waiting.length === 0
    this.#failedTimerFlushes = 0
    if (wasAbandoned) return
    this.#waiting.splice(0, batch.length)
    this.#options.onSettled(batch, outcomes)
  }

  #startTimer(delayMs: number): void {
    this.#timer ??= setTimeout(() => this.#flushByTimer(), delayMs)
  }

  #stopTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  async #flushByTimer(): Promise<void> {
    this.#timer = undefined
    try {
      while (this.#waiting.length > 0) await this.#writeFront()
    } catch (error) {
      this.#failedTimerFlushes++
      const delayMs = this.#options.flushIntervalMs * 2 ** this.#failedTimerFlushes
      this.#stopTimer()
      if (this.#waiting.length > 0) this.#startTimer(Math.min(delayMs, LONGEST_RETRY_DELAY_MS))
      this.#options.onTimerFlushFailed(error, this.#waiting.length)
    }
  }
}
