import { TripwireStorageError } from '../../errors.ts'
import type { AlertTail } from '../../model/alert-tail.ts'
import type { Database } from '../../pg/database.ts'
import { NotificationListener } from '../../pg/listen.ts'
import { ALERTS_CHANNEL } from './flush-notifier.ts'
import { FollowingTail } from './following-tail.ts'
import { parseTailOptions } from './tail-options.ts'
import { TailReader } from './tail-reader.ts'
import { WakeSignal } from './wake-signal.ts'

export interface AlertTailsOptions {
  readonly db: Database
  readonly connectionString: string
  readonly connectTimeoutMs: number
  readonly applicationName: string
  /** How long a statement of a tail may take when the tail does not say. */
  readonly queryTimeoutMs: number
}

/** The tails of a store. They share one connection that listens, while there are any. */
export class AlertTails {
  readonly #options: AlertTailsOptions
  readonly #news = new WakeSignal()
  readonly #reader: TailReader
  readonly #listener: NotificationListener
  readonly #open = new Set<FollowingTail>()

  constructor(options: AlertTailsOptions) {
    this.#options = options
    this.#reader = new TailReader(options.db, this.#news)
    const { connectionString, connectTimeoutMs, applicationName } = options
    this.#listener = new NotificationListener({
      connectionString,
      connectTimeoutMs,
      applicationName,
      channel: ALERTS_CHANNEL,
      onNotification: () => this.#news.wake(),
    })
  }

  /** @throws InvalidInputError. The reason of the signal, when it is aborted already. */
  open(options: unknown): AlertTail {
    const parsed = parseTailOptions(options)
    parsed.signal?.throwIfAborted()
    this.#listener.acquire()
    const tail = new FollowingTail({
      ...parsed,
      reader: this.#reader,
      news: this.#news,
      timeoutByDefaultMs: this.#options.queryTimeoutMs,
      onEnd: () => {
        this.#open.delete(tail)
        this.#listener.release()
      },
    })
    this.#open.add(tail)
    return tail
  }

  /** Whoever waits for an alert is told that the store was closed. */
  async close(): Promise<void> {
    const reason = new TripwireStorageError('STORE_CLOSED', 'the store was closed')
    for (const tail of [...this.#open]) tail.end(reason)
    await this.#listener.close()
  }
}
