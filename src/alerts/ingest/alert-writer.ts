import { setTimeout as sleep } from 'node:timers/promises'
import { isRetryable } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { AlertOutcome } from './alert-outcome.ts'
import { AlertQueue } from './alert-queue.ts'
import { CopyEncoder } from './copy-encoder.ts'
import type { FlushStatistics } from './flush-statistics.ts'
import { type QueuedAlert, Submission } from './submission.ts'

/** More would not be faster: at 5,000 the cost of a commit is spread thin already. */
const LARGEST_BATCH_ALERTS = 5000
const LARGEST_BATCH_BYTES = 16 * 1024 * 1024
const FIRST_RETRY_DELAY_MS = 50
const LONGEST_RETRY_DELAY_MS = 1000

export interface AlertWriterOptions {
  /** How many batches may be on their way at once. */
  readonly writerConnections: number
  /** How long a batch is tried again after a passing error. */
  readonly retryForMs: number
  readonly statistics: FlushStatistics
  /** Stores a batch durably, whatever single alerts are like. Throws when the database cannot be asked. */
  readonly store: (alerts: readonly AcceptedAlert[], encoder: CopyEncoder) => Promise<readonly AlertOutcome[]>
  /** Takes a batch that the database cannot take. Absent: there is no spool. Throws when it cannot take it either. */
  readonly spool?: ((alerts: readonly AcceptedAlert[]) => void) | undefined
  readonly onAway: (error: unknown) => void
  readonly onBack: () => void
}

/**
 * Writes what is submitted, as soon as a writer connection is free: what has gathered meanwhile goes into one batch, and so
 * many callers share one commit. Nothing waits for a timer.
 *
 * Invariant: a submission is settled alert by alert after the database or the spool has answered for it, or it fails as
 * a whole. Nothing leaves the queue in any other way.
 */
export class AlertWriter {
  readonly #options: AlertWriterOptions
  readonly #queue = new AlertQueue()
  readonly #freeEncoders: CopyEncoder[]
  readonly #onTheirWay = new Set<readonly QueuedAlert[]>()
  readonly #stopRetries = new AbortController()
  #isScheduled = false
  #isAway = false
  #abandoned: { readonly cause: unknown } | undefined

  constructor(options: AlertWriterOptions) {
    this.#options = options
    this.#freeEncoders = Array.from({ length: options.writerConnections }, () => new CopyEncoder())
  }

  /** Resolves when each alert is durable. Rejects when one is not, and the caller has to send all of them again. */
  submit(alerts: readonly AcceptedAlert[]): Promise<readonly AlertOutcome[]> {
    const submission = new Submission(alerts)
    this.#queue.add(submission)
    if (this.#abandoned) this.#spoolOrFail(this.#queue.takeAll(), this.#abandoned.cause)
    else this.#schedule()
    return submission.done
  }

  /** Lets batches go to the database again, after something else has found it back. */
  markBack(): void {
    if (!this.#isAway) return
    this.#isAway = false
    this.#options.onBack()
  }

  /**
   * Gives up: everything that is queued or on its way, and whatever comes later, goes into the spool, or fails with
   * `cause`. What is on its way may be stored all the same.
   */
  abandon(cause: unknown): void {
    this.#abandoned = { cause }
    this.#stopRetries.abort()
    for (const batch of [...this.#onTheirWay, this.#queue.takeAll()]) this.#spoolOrFail(batch, cause)
    this.#onTheirWay.clear()
  }

  /** Callers of one turn of the event loop share a batch. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#startWrites()
    })
  }

  #startWrites(): void {
    while (this.#queue.length > 0) {
      const encoder = this.#freeEncoders.pop()
      if (!encoder) return
      const batch = this.#queue.take(LARGEST_BATCH_ALERTS, LARGEST_BATCH_BYTES)
      this.#onTheirWay.add(batch)
      this.#write(batch, encoder).finally(() => {
        this.#freeEncoders.push(encoder)
        this.#startWrites()
      })
    }
  }

  async #write(batch: readonly QueuedAlert[], encoder: CopyEncoder): Promise<void> {
    // A spool that is full must not keep alerts from a database that is back, so then the database is asked after all.
    if (this.#isAway && this.#trySpool(batch) === undefined) {
      this.#onTheirWay.delete(batch)
      return
    }
    try {
      const outcomes = await this.#storeWithRetry(
        batch.map(queued => queued.alert),
        encoder,
      )
      if (!this.#onTheirWay.delete(batch)) return
      this.markBack()
      batch.forEach(({ submission, index }, position) => {
        const outcome = outcomes[position]
        if (outcome) submission.settle(index, outcome)
      })
    } catch (error) {
      if (!this.#onTheirWay.delete(batch)) return
      this.#markAway(error)
      this.#spoolOrFail(batch, error)
    }
  }

  async #storeWithRetry(
    alerts: readonly AcceptedAlert[],
    encoder: CopyEncoder,
  ): Promise<readonly AlertOutcome[]> {
    const { store, retryForMs, statistics } = this.#options
    const startedAt = performance.now()
    for (let delayMs = FIRST_RETRY_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_RETRY_DELAY_MS)) {
      try {
        const outcomes = await store(alerts, encoder)
        statistics.recordFlush(alerts.length, performance.now() - startedAt)
        return outcomes
      } catch (error) {
        const isLate = performance.now() - startedAt + delayMs > retryForMs
        if (this.#isAway || isLate || !isRetryable(error) || this.#stopRetries.signal.aborted) throw error
        statistics.recordRetry()
        // Half of it random, so that several processes do not come back at once.
        await sleep(delayMs * (0.5 + Math.random() / 2), undefined, { signal: this.#stopRetries.signal })
      }
    }
  }

  #spoolOrFail(batch: readonly QueuedAlert[], error: unknown): void {
    const refused = this.#trySpool(batch)
    if (!refused) return
    const reason = this.#options.spool ? refused.error : error
    for (const submission of new Set(batch.map(queued => queued.submission))) submission.fail(reason)
  }

  /** @returns why the spool does not take the batch, or `undefined` when it has it. */
  #trySpool(batch: readonly QueuedAlert[]): { readonly error: unknown } | undefined {
    const { spool } = this.#options
    try {
      if (!spool) return { error: undefined }
      if (batch.length > 0) spool(batch.map(queued => queued.alert))
    } catch (error) {
      return { error }
    }
    for (const { submission, index } of batch) submission.settle(index, { kind: 'spooled' })
    return undefined
  }

  #markAway(error: unknown): void {
    this.#options.statistics.recordFailure()
    if (this.#isAway) return
    this.#isAway = true
    this.#options.onAway(error)
  }
}
