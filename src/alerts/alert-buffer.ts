import { OverloadedError } from '../errors.ts'
import type { AcceptedAlert } from '../model/accepted-alert.ts'
import type { AlertCounters } from './alert-counters.ts'
import { AlertsNotStoredError, type UnstoredAlert } from './alerts-not-stored.ts'
import type { AlertOutcome } from './store-batch.ts'

/** The most alerts that one statement takes, whatever has gathered while the database was away. */
const LARGEST_BATCH = 5000
/** Failed timer flushes wait longer each time, up to this. */
const LONGEST_RETRY_DELAY_MS = 5000

export interface AlertBufferOptions {
  readonly batchSize: number
  readonly flushIntervalMs: number
  readonly maxBufferedAlerts: number
  readonly write: (alerts: readonly AcceptedAlert[]) => Promise<readonly AlertOutcome[]>
  readonly counters: AlertCounters
  /** Called after a flush of the timer failed. The alerts stay in the buffer, and the timer tries again. */
  readonly onTimerFlushFailed: (error: unknown, waiting: number) => void
  /** Called after a flush of the timer met alerts that the database refuses. Returns whether somebody took them over. */
  readonly onTimerFlushRefused: (refused: readonly UnstoredAlert[]) => boolean
}

/**
 * Gathers alerts and writes them in batches: when `batchSize` wait, when the oldest has waited `flushIntervalMs`, and
 * when asked to.
 *
 * Invariant: an alert leaves `#waiting` only after the database has answered for it. So a flush that fails, for
 * whatever reason and at whatever moment, keeps every alert in its place, and the next one sends it again.
 * There is one write at a time, which takes from the front.
 */
export class AlertBuffer {
  readonly #options: AlertBufferOptions
  #waiting: AcceptedAlert[] = []
  #refused: UnstoredAlert[] = []
  #write: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #failedTimerFlushes = 0
  #taken = 0

  constructor(options: AlertBufferOptions) {
    this.#options = options
  }

  /** How many alerts are kept in memory. */
  get size(): number {
    return this.#waiting.length + this.#refused.length
  }

  /**
   * Takes an alert. The call that fills a batch returns after the flush.
   * @throws OverloadedError when the buffer is full; the alert was not taken.
   */
  async add(alert: AcceptedAlert): Promise<void> {
    const { batchSize, maxBufferedAlerts, flushIntervalMs } = this.#options
    if (this.size >= maxBufferedAlerts) throw new OverloadedError(this.size, flushIntervalMs)
    this.#waiting.push(alert)
    this.#taken++
    this.#options.counters.accept(1)
    if (this.#waiting.length >= batchSize) return this.flush()
    this.#startTimer(flushIntervalMs)
  }

  /**
   * Writes every alert taken before the call.
   * @throws AlertsNotStoredError with the alerts that the database refused since the last call that said so.
   * @throws DatabaseError when the database could not be asked; the alerts stay in the buffer.
   */
  async flush(): Promise<void> {
    const target = this.#taken
    while (this.#waiting.length > 0 && this.#settled() < target) await this.#writeFront()
    if (this.#refused.length > 0) throw new AlertsNotStoredError(this.#takeRefused())
  }

  /** Takes everything that is not stored out of the buffer, to hand it to the caller. */
  abandon(cause: unknown): readonly UnstoredAlert[] {
    this.#stopTimer()
    const unstored = this.#waiting.splice(0).map(alert => ({ alert, error: cause }))
    return [...this.#takeRefused(), ...unstored]
  }

  #settled(): number {
    return this.#taken - this.#waiting.length
  }

  #takeRefused(): readonly UnstoredAlert[] {
    return this.#refused.splice(0)
  }

  #writeFront(): Promise<void> {
    this.#write ??= this.#writeBatch(this.#waiting.slice(0, LARGEST_BATCH)).finally(() => {
      this.#write = undefined
      if (this.#waiting.length > 0) this.#startTimer(this.#options.flushIntervalMs)
    })
    return this.#write
  }

  async #writeBatch(batch: readonly AcceptedAlert[]): Promise<void> {
    const outcomes = await this.#options.write(batch)
    this.#waiting.splice(0, batch.length)
    this.#failedTimerFlushes = 0
    outcomes.forEach((outcome, index) => {
      this.#options.counters.settle(outcome.kind)
      const alert = batch[index]
      if (outcome.kind === 'refused' && alert) this.#refused.push({ alert, error: outcome.error })
    })
    if (this.#waiting.length === 0) this.#stopTimer()
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
      this.#offerRefused()
    } catch (error) {
      this.#failedTimerFlushes++
      const delayMs = this.#options.flushIntervalMs * 2 ** this.#failedTimerFlushes
      this.#stopTimer()
      this.#startTimer(Math.min(delayMs, LONGEST_RETRY_DELAY_MS))
      this.#options.onTimerFlushFailed(error, this.#waiting.length)
    }
  }

  #offerRefused(): void {
    const refused = [...this.#refused]
    if (refused.length === 0) return
    const takenOver = this.#options.onTimerFlushRefused(refused)
    if (takenOver) this.#refused.splice(0, refused.length)
  }
}
