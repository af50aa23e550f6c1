import type { Database } from '../../pg/database.ts'

/** The channel of all stores on a database. */
export const ALERTS_CHANNEL = 'tripwire_alerts'

/** Readers of all processes are woken so often at the most by one store. */
const SHORTEST_PAUSE_MS = 50
const LONGEST_NOTIFY_MS = 5000

const NOTIFY = `
  SELECT pg_notify('${ALERTS_CHANNEL}', '')`

/**
 * Tells those who follow alerts that there are new ones: after the commit, by a statement of its own, and never in the transaction of the
 * alerts, whose commit would wait for those of others, and fail when the queue of notifications is full. What fails is not tried
 * again: readers look by themselves, too.
 */
export class FlushNotifier {
  readonly #db: Database
  #timer: NodeJS.Timeout | undefined
  #isSending = false
  #isDue = false
  #isStopped = false

  constructor(db: Database) {
    this.#db = db
  }

  /** Returns at once. */
  notify(): void {
    this.#isDue = true
    if (!this.#isSending && this.#timer === undefined) void this.#send()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  async #send(): Promise<void> {
    if (this.#isStopped) return
    this.#isDue = false
    this.#isSending = true
    await this.#db
      .withLimits({ timeoutMs: LONGEST_NOTIFY_MS })
      .query(NOTIFY)
      .catch(() => undefined)
    this.#isSending = false
    if (this.#isStopped) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#isDue) void this.#send()
    }, SHORTEST_PAUSE_MS).unref()
  }
}
