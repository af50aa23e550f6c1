import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { quoteIdentifier } from './identifier.ts'
import { leadsToServer } from './prepared-statements.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

export interface ListenOptions {
  readonly connectionString: string
  readonly connectTimeoutMs: number
  readonly applicationName: string
  /** As it stands in NOTIFY, without quotes. */
  readonly channel: string
  /** Called for each notification, and when listening began: what was told before was missed. */
  readonly onNotification: () => void
}

/**
 * Hears notifications, on a connection of its own, while somebody wants to. A connection that is lost is made anew, after a pause that
 * grows. Nothing is promised: whoever listens has to look by himself from time to time.
 *
 * LISTEN belongs to a session. Through a pooler in transaction mode it would stay behind on a connection that others use, so where one
 * stands between, there is no listening.
 */
export class NotificationListener {
  readonly #options: ListenOptions
  #users = 0
  #stop: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  #isPooled = false

  constructor(options: ListenOptions) {
    this.#options = options
  }

  /** Listens until as many calls of `release` came. */
  acquire(): void {
    this.#users++
    if (this.#users > 1 || this.#isPooled) return
    const stop = new AbortController()
    this.#stop = stop
    this.#running = this.#running.then(() => this.#run(stop.signal))
  }

  release(): void {
    this.#users--
    if (this.#users === 0) this.#stop?.abort()
  }

  /** Ends the connection, whoever still wants to listen. */
  async close(): Promise<void> {
    this.#stop?.abort()
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const startedAt = performance.now()
      await this.#listen(signal).catch(() => undefined)
      if (this.#isPooled) return
      if (performance.now() - startedAt > LONGEST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS
      // Half of it random, so that several processes do not come back at once.
      await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined)
    }
  }

  /** Until the connection ends, or the signal is aborted. */
  async #listen(signal: AbortSignal): Promise<void> {
    const { connectionString, connectTimeoutMs, applicationName, channel, onNotification } = this.#options
    const client = new pg.Client({
      connectionString,
      connectionTimeoutMillis: connectTimeoutMs,
      application_name: applicationName,
      keepAlive: true,
    })
    const ended = new Promise<void>(resolve => client.once('end', resolve))
    // Without it, a connection that is lost would end the process. It ends as well.
    client.on('error', () => undefined)
    client.on('notification', () => onNotification())
    const giveUp = () => client.connection.stream.destroy()
    signal.addEventListener('abort', giveUp)
    try {
      await client.connect()
      this.#isPooled = !(await leadsToServer(client))
      if (this.#isPooled || signal.aborted) return
      await client.query(`LISTEN ${quoteIdentifier(channel)}`)
      onNotification()
      await ended
    } finally {
      signal.removeEventListener('abort', giveUp)
      giveUp()
    }
  }
}
