import { OverloadedError, TripwireStorageError } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { AlertReceipt } from '../../model/alert.ts'
import type { DeadLetterFilter, RedriveReport } from '../../model/dead-letter.ts'
import type { Database } from '../../pg/database.ts'
import { unreadableAlertJson } from '../dead-letters/alert-json.ts'
import { insertDeadLetters } from '../dead-letters/insert-dead-letters.ts'
import { redriveDeadLetters } from '../dead-letters/redrive-dead-letters.ts'
import { AlertBuffer } from './alert-buffer.ts'
import { AlertCounters, type AlertCounts } from './alert-counters.ts'
import type { AlertOutcome } from './alert-outcome.ts'
import { AlertWriter } from './alert-writer.ts'
import { AlertsNotStoredError, type UnstoredAlert } from './alerts-not-stored.ts'
import { CopyEncoder } from './copy-encoder.ts'
import { type DurableStoreOptions, storeDurably } from './durable-store.ts'
import { type FlushListener, FlushStatistics, type FlushStats } from './flush-statistics.ts'
import { insertList, type UnreadableAlert } from './insert-list.ts'
import { bytesInMemory, MemoryLimit } from './memory-limit.ts'
import { parseAlertOrError } from './parse-alert.ts'
import { type DrainableSpool, SpoolDrain } from './spool-drain.ts'
import { storeBatch } from './store-batch.ts'

const SPOOLED: AlertOutcome = { kind: 'spooled' }

/** What the ingest needs of a spool: to put alerts in, and what its drain needs. */
export interface IngestSpool extends DrainableSpool {
  append(alerts: readonly (AcceptedAlert & { readonly receivedAt: string })[]): void
}

export interface IngestOptions extends DurableStoreOptions {
  readonly batchSize: number
  readonly flushIntervalMs: number
  readonly maxBufferedAlerts: number
  readonly maxBufferedBytes: number
  readonly overloadWaitMs: number
  readonly writerConnections: number
  readonly retryForMs: number
  /** Called before the first alert of each month. `null` is now. */
  readonly prepareMonth: (moment: string | null) => Promise<void>
  readonly spool: IngestSpool | undefined
  readonly flushListener: FlushListener
  readonly onTimerFlushFailed: (error: unknown, waiting: number) => void
  readonly onAway: (error: unknown) => void
  readonly onBack: () => void
  readonly onSpoolFailed: (error: unknown) => void
}

/** The way of alerts into the database: counted, bounded in memory, gathered into batches, written, spooled. */
export class Ingest {
  readonly #db: Database
  readonly #options: IngestOptions
  readonly #counters = new AlertCounters()
  readonly #statistics: FlushStatistics
  readonly #memory: MemoryLimit
  readonly #buffer: AlertBuffer
  readonly #writer: AlertWriter
  readonly #drain: SpoolDrain | undefined
  readonly #inserts = new Set<Promise<unknown>>()
  /** Rejects when the store is closed without the database. */
  readonly #givenUp = Promise.withResolvers<never>()
  #isClosing = false
  /** The months whose partitions are known to be there: `2026-02`. */
  readonly #months = new Set<string>()

  constructor(db: Database, options: IngestOptions) {
    this.#db = db
    this.#options = {
      ...options,
      onTimerFlushFailed: afterwards(options.onTimerFlushFailed),
      onDeadLettered: afterwards(options.onDeadLettered),
      onAway: afterwards(options.onAway),
      onBack: afterwards(options.onBack),
      onSpoolFailed: afterwards(options.onSpoolFailed),
    }
    this.#givenUp.promise.catch(() => undefined)
    const { spool } = options
    this.#statistics = new FlushStatistics(options.flushListener)
    this.#memory = new MemoryLimit({
      maxAlerts: options.maxBufferedAlerts,
      maxBytes: options.maxBufferedBytes,
      waitMs: options.overloadWaitMs,
    })
    this.#writer = new AlertWriter({
      ...this.#options,
      statistics: this.#statistics,
      store: (alerts, encoder) => this.#store(alerts, encoder),
      spool: spool && (alerts => this.#putIntoSpool(spool, alerts)),
    })
    this.#buffer = new AlertBuffer({
      ...this.#options,
      write: alerts => this.#writer.submit(alerts),
      onSettled: (alerts, outcomes) => this.#settle(alerts, outcomes),
    })
    this.#drain = spool && this.#makeDrain(spool)
  }

  get counts(): AlertCounts {
    return this.#counters.snapshot()
  }

  get flushStats(): FlushStats {
    return this.#statistics.snapshot()
  }

  /** Begins to bring in what an earlier process left in the spool. */
  start(): void {
    this.#counters.addSpooled(this.#options.spool?.size.alerts ?? 0)
    this.#drain?.start()
  }

  /** @throws OverloadedError, InvalidInputError: the alert was not taken. Anything else: it was, and stays in memory. */
  async addToBatch(alert: unknown): Promise<void> {
    const { alert: accepted, error } = parseAlertOrError('alert', alert)
    if (error) {
      this.#counters.reject(1)
      throw error
    }
    const bytes = bytesInMemory(accepted)
    if (!this.#memory.tryReserve(1, bytes)) {
      if (!(await this.#reserveOrSpool([accepted], bytes))) return
      this.#refuseWhenClosing(bytes)
    }
    this.#counters.accept(1)
    return this.#buffer.add(accepted)
  }

  /** A caller that waited for room until the store was closed is told so: the last flush may be over. */
  #refuseWhenClosing(bytes: number): void {
    if (!this.#isClosing) return
    this.#memory.release(1, bytes)
    this.#counters.reject(1)
    throw storeClosed()
  }

  async flush(): Promise<void> {
    return this.#buffer.flush()
  }

  /** Makes a list durable, past the buffer. A receipt for each alert, in the order given. */
  async insert(alerts: readonly unknown[]): Promise<readonly AlertReceipt[]> {
    const insert = insertList(alerts, {
      tryReserve: chunk => this.#memory.tryReserve(chunk.length, totalBytes(chunk)),
      submit: (chunk, isReserved) => this.#submit(chunk, isReserved),
      keepUnreadable: unreadable => this.#keepUnreadable(unreadable),
    })
    this.#inserts.add(insert)
    return insert.finally(() => this.#inserts.delete(insert))
  }

  async redrive(filter: DeadLetterFilter): Promise<RedriveReport> {
    const encoder = new CopyEncoder()
    return redriveDeadLetters(this.#db, filter, async alerts =>
      alerts.length === 0 ? [] : storeBatch(this.#db, alerts, encoder, this.#options),
    )
  }

  /** Makes everything durable that was taken. Throws when that is not possible; then `abandon`. */
  async close(): Promise<void> {
    this.#isClosing = true
    const drained = this.#drain?.stop()
    await this.#buffer.flush()
    await Promise.allSettled(this.#inserts)
    await drained
  }

  /**
   * Ends without the database: what is in memory goes into the spool.
   * @throws AlertsNotStoredError with the alerts that went nowhere. The outcome of those on their way is unknown.
   */
  async abandon(cause: unknown): Promise<void> {
    this.#givenUp.reject(cause)
    this.#writer.abandon(cause)
    this.#memory.refuseWaiters(storeClosed())
    await Promise.allSettled(this.#inserts)
    const error = await this.#buffer.flush().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    const left = this.#buffer.abandon()
    if (left.length === 0) return
    this.#counters.giveBack(left.length)
    throw new AlertsNotStoredError(left.map((alert): UnstoredAlert => ({ alert, error })))
  }

  async #store(alerts: readonly AcceptedAlert[], encoder: CopyEncoder): Promise<readonly AlertOutcome[]> {
    await this.#prepareMonths(alerts)
    return storeDurably(this.#db, alerts, encoder, this.#options)
  }

  async #prepareMonths(alerts: readonly AcceptedAlert[]): Promise<void> {
    const now = new Date().toISOString()
    let last: string | null | undefined
    for (const { receivedAt } of alerts) {
      if (receivedAt === last) continue
      last = receivedAt
      const month = (receivedAt ?? now).slice(0, 7)
      if (this.#months.has(month)) continue
      await this.#options.prepareMonth(receivedAt)
      this.#months.add(month)
    }
  }

  async #submit(alerts: readonly AcceptedAlert[], isReserved: boolean): Promise<readonly AlertOutcome[]> {
    const bytes = totalBytes(alerts)
    if (!isReserved && !(await this.#reserveOrSpool(alerts, bytes))) return alerts.map(() => SPOOLED)
    this.#counters.accept(alerts.length)
    try {
      const outcomes = await this.#writer.submit(alerts)
      this.#settle(alerts, outcomes)
      return outcomes
    } catch (error) {
      this.#counters.giveBack(alerts.length)
      this.#memory.release(alerts.length, bytes)
      throw error
    }
  }

  /**
   * Waits for room in memory. A database that is too slow for what comes is what the spool is for, as well.
   * @returns false when the alerts are in the spool instead.
   * @throws OverloadedError when there is none, or the error of the spool.
   */
  async #reserveOrSpool(alerts: readonly AcceptedAlert[], bytes: number): Promise<boolean> {
    try {
      await this.#memory.reserve(alerts.length, bytes)
      return true
    } catch (error) {
      try {
        if (!(error instanceof OverloadedError && this.#options.spool)) throw error
        this.#putIntoSpool(this.#options.spool, alerts)
      } catch (reason) {
        this.#counters.reject(alerts.length)
        throw reason
      }
      return false
    }
  }

  #settle(alerts: readonly AcceptedAlert[], outcomes: readonly AlertOutcome[]): void {
    for (const { kind } of outcomes) this.#counters.settle(kind)
    this.#memory.release(alerts.length, totalBytes(alerts))
  }

  /** Their sender has the error in the receipt, so a database that is away loses nothing here. */
  async #keepUnreadable(unreadable: readonly UnreadableAlert[]): Promise<void> {
    if (unreadable.length === 0) return
    try {
      const refused = unreadable.map(({ alert, error }) => ({
        alertJson: unreadableAlertJson(alert),
        alertId: null,
        hostId: null,
        error,
      }))
      await Promise.race([insertDeadLetters(this.#db, refused), this.#givenUp.promise])
      this.#counters.accept(unreadable.length)
      this.#counters.settle('deadLettered', unreadable.length)
    } catch (error) {
      if (!(error instanceof TripwireStorageError)) throw error
      this.#counters.reject(unreadable.length)
    }
  }

  /** A spooled alert is acknowledged now, so this is when it was received. */
  #putIntoSpool(spool: IngestSpool, alerts: readonly AcceptedAlert[]): void {
    const now = `${new Date().toISOString().slice(0, -1)}000Z`
    spool.append(alerts.map(alert => ({ ...alert, receivedAt: alert.receivedAt ?? now })))
    this.#counters.addSpooled(alerts.length)
    this.#drain?.start()
  }

  #makeDrain(spool: IngestSpool): SpoolDrain {
    const encoder = new CopyEncoder()
    return new SpoolDrain(spool, {
      counters: this.#counters,
      store: alerts => this.#store(alerts, encoder),
      onBack: () => this.#writer.markBack(),
      onBatchFailed: error => this.#options.onTimerFlushFailed(error, spool.size.alerts),
      onFailed: this.#options.onSpoolFailed,
    })
  }
}

/** A listener that throws must not get in the way of alerts. What it throws is an uncaught exception, as anywhere else. */
function afterwards<Args extends readonly unknown[]>(tell: (...args: Args) => void): (...args: Args) => void {
  return (...args) => queueMicrotask(() => tell(...args))
}

function storeClosed(): TripwireStorageError {
  return new TripwireStorageError('STORE_CLOSED', 'the store was closed')
}

function totalBytes(alerts: readonly AcceptedAlert[]): number {
  return alerts.reduce((sum, alert) => sum + bytesInMemory(alert), 0)
}
