import { TripwireStorageError } from '../errors.ts'
import type { AcceptedAlert } from '../model/accepted-alert.ts'
import type { AlertReceipt } from '../model/alert.ts'
import type { QueryRunner } from '../pg/database.ts'
import { AlertBuffer } from './alert-buffer.ts'
import { AlertCounters, type AlertCounts } from './alert-counters.ts'
import { AlertsNotStoredError, type UnstoredAlert } from './alerts-not-stored.ts'
import { parseAlert } from './parse-alert.ts'
import { type AlertOutcome, type StoreBatchOptions, storeBatch } from './store-batch.ts'

const LARGEST_STATEMENT = 5000

export interface IngestOptions extends StoreBatchOptions {
  readonly batchSize: number
  readonly flushIntervalMs: number
  readonly maxBufferedAlerts: number
  readonly onTimerFlushFailed: (error: unknown, waiting: number) => void
  readonly onTimerFlushRefused: (refused: readonly UnstoredAlert[]) => boolean
}

/** The way of alerts into the database: buffered, one at a time, or in a list with receipts. */
export class Ingest {
  readonly #db: QueryRunner
  readonly #options: IngestOptions
  readonly #counters = new AlertCounters()
  readonly #buffer: AlertBuffer

  constructor(db: QueryRunner, options: IngestOptions) {
    this.#db = db
    this.#options = options
    this.#buffer = new AlertBuffer({
      ...options,
      counters: this.#counters,
      write: alerts => this.#write(alerts),
    })
  }

  get counts(): AlertCounts {
    return this.#counters.snapshot()
  }

  async addToBatch(alert: unknown): Promise<void> {
    return this.#buffer.add(parseAlert('alert', alert))
  }

  async flush(): Promise<void> {
    return this.#buffer.flush()
  }

  /** Stores a list at once, past the buffer. A receipt for each alert, in the order given. */
  async insert(alerts: readonly unknown[]): Promise<readonly AlertReceipt[]> {
    const receipts: AlertReceipt[] = []
    for (let start = 0; start < alerts.length; start += LARGEST_STATEMENT) {
      receipts.push(...(await this.#insertChunk(alerts.slice(start, start + LARGEST_STATEMENT), start)))
    }
    return receipts
  }

  /**
   * Flushes, and hands back what could not be stored.
   * @throws AlertsNotStoredError
   */
  async close(): Promise<void> {
    try {
      await this.#buffer.flush()
    } catch (error) {
      if (error instanceof AlertsNotStoredError) throw error
      throw new AlertsNotStoredError(this.#buffer.abandon(error))
    }
  }

  /** What is in memory when the time of close is over. The outcome of a write under way is unknown. */
  abandon(cause: unknown): readonly UnstoredAlert[] {
    return this.#buffer.abandon(cause)
  }

  #write(alerts: readonly AcceptedAlert[]): Promise<readonly AlertOutcome[]> {
    return storeBatch(this.#db, alerts, this.#options)
  }

  async #insertChunk(alerts: readonly unknown[], start: number): Promise<readonly AlertReceipt[]> {
    const parsed = alerts.map((alert, index) => parseOrReject(`alerts[${start + index}]`, alert))
    const accepted = parsed.filter(each => 'hostId' in each)
    const outcomes = accepted.length > 0 ? await this.#write(accepted) : []
    this.#counters.accept(outcomes.length)
    for (const outcome of outcomes) this.#counters.settle(outcome.kind)
    const remaining = outcomes.values()
    return parsed.map(each => ('hostId' in each ? receiptOf(each, remaining.next().value) : each))
  }
}

function parseOrReject(field: string, alert: unknown): AcceptedAlert | AlertReceipt {
  try {
    return parseAlert(field, alert)
  } catch (error) {
    if (!(error instanceof TripwireStorageError)) throw error
    return { alertId: undefined, outcome: 'rejected', error }
  }
}

function receiptOf(alert: AcceptedAlert, outcome: AlertOutcome | undefined): AlertReceipt {
  const { alertId } = alert
  if (outcome?.kind === 'refused') return { alertId, outcome: 'rejected', error: outcome.error }
  return { alertId, outcome: outcome?.kind ?? 'rejected' }
}
