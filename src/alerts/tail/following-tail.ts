import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseError, isRetryable, TripwireStorageError } from '../../errors.ts'
import type { AlertTail, TailedAlert } from '../../model/alert-tail.ts'
import { SQLSTATE } from '../../pg/sqlstate.ts'
import { findEnd, readNextPage, type TailPlace } from './journal-reader.ts'
import type { TailEntry, TailPage } from './read-tail-page.ts'
import { encodeResumeToken } from './resume-token.ts'
import type { ParsedTailOptions } from './tail-options.ts'
import type { ReadLimits, TailReader } from './tail-reader.ts'
import type { WakeSignal } from './wake-signal.ts'

const FIRST_RETRY_MS = 50
const LONGEST_RETRY_MS = 5000
const LONGEST_TIMEOUT_MS = 3_600_000
/** Notifications that come so shortly after one another are answered by one look. */
const SHORTEST_PAUSE_MS = 10

export interface FollowingTailOptions extends ParsedTailOptions {
  readonly reader: TailReader
  readonly news: WakeSignal
  /** Of the store. */
  readonly timeoutByDefaultMs: number
  readonly onEnd: () => void
}

/** A tail. It reads a page when the last one is used up, and so keeps no more than one in memory. */
export class FollowingTail implements AlertTail {
  readonly #options: FollowingTailOptions
  readonly #stop = new AbortController()
  readonly #generator: AsyncGenerator<TailedAlert, undefined>
  readonly #starting: Promise<void>
  #identity: string | undefined
  #position: FollowingTailOptions['start']
  #rest: TailPage['rest']
  /** Behind what `next` returned last; a function, because it is seldom asked for. */
  #delivered: (() => string) | undefined
  #isClosed = false
  #hasEnded = false
  #lookedAt = 0
  #timeoutMs: number

  constructor(options: FollowingTailOptions) {
    this.#options = options
    this.#identity = options.identity
    this.#position = options.start
    this.#timeoutMs = options.timeoutMs ?? options.timeoutByDefaultMs
    this.#generator = this.#follow()
    options.signal?.addEventListener('abort', this.#onAbort)
    this.#starting = this.#start()
    // It is thrown by `next` and `started`.
    this.#starting.catch(() => undefined)
  }

  started(): Promise<void> {
    return this.#starting
  }

  get resumeToken(): string | undefined {
    return this.#delivered?.()
  }

  async next(): Promise<IteratorResult<TailedAlert, undefined>> {
    try {
      return await this.#generator.next()
    } catch (error) {
      if (this.#isClosed) return { done: true, value: undefined }
      throw error
    }
  }

  /** What `break` calls. */
  async return(): Promise<IteratorResult<TailedAlert, undefined>> {
    await this.close()
    return { done: true, value: undefined }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.end(new TripwireStorageError('STORE_CLOSED', 'the tail was closed'))
    await this.#starting.catch(() => undefined)
    await this.#generator.return(undefined).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Makes what waits throw the reason; where nothing waits, what is called next. After that it is done. */
  end(reason: unknown): void {
    this.#stop.abort(reason)
    this.#finish()
  }

  readonly #onAbort = () => this.end(this.#options.signal?.reason)

  async #start(): Promise<void> {
    await this.#untilDone(async limits => {
      if (this.#position === undefined) {
        const place = await findEnd(this.#options.reader, limits)
        this.#identity = place.identity
        this.#position = place.position
        this.#delivered = this.#tokenOf(place)
      } else if (this.#identity !== undefined) {
        this.#delivered = this.#tokenOf({ identity: this.#identity, position: this.#position })
      }
    })
  }

  async *#follow(): AsyncGenerator<TailedAlert, undefined> {
    try {
      await this.#starting
      for (;;) {
        const count = this.#options.news.count
        const page = await this.#readPage()
        for (const entry of page.entries) {
          this.#stop.signal.throwIfAborted()
          yield this.#deliver(entry, page.identity)
        }
        this.#delivered = this.#tokenOf(page)
        if (!page.hasMore) await this.#waitForNews(count)
        this.#stop.signal.throwIfAborted()
      }
    } finally {
      this.#finish()
    }
  }

  async #readPage() {
    return this.#untilDone(async limits => {
      const position = this.#position
      if (position === undefined) throw new TypeError('a tail reads before it has started')
      this.#lookedAt = performance.now()
      const { reader, filter } = this.#options
      const place = { identity: this.#identity, position, rest: this.#rest }
      const page = await readNextPage(reader, place, filter, limits)
      this.#identity = page.identity
      this.#position = page.position
      this.#rest = page.rest
      return page
    })
  }

  #deliver({ alert, positionAfter }: TailEntry, identity: string): TailedAlert {
    let token: string | undefined
    const resumeToken = () => {
      token ??= encodeResumeToken({ identity, position: positionAfter() }, this.#options.filter)
      return token
    }
    this.#delivered = resumeToken
    return {
      alert,
      get resumeToken() {
        return resumeToken()
      },
    }
  }

  #tokenOf({ identity, position }: TailPlace): () => string {
    return () => encodeResumeToken({ identity, position }, this.#options.filter)
  }

  async #waitForNews(count: number): Promise<void> {
    const { news, pollIntervalMs } = this.#options
    const { signal } = this.#stop
    await news.wait(count, pollIntervalMs, signal)
    const pauseMs = this.#lookedAt + SHORTEST_PAUSE_MS - performance.now()
    if (pauseMs > 0) await pause(pauseMs, signal)
  }

  /** Tries again after passing errors, for as long as it takes. */
  async #untilDone<T>(work: (limits: ReadLimits) => Promise<T>): Promise<T> {
    const { signal } = this.#stop
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS)) {
      try {
        signal.throwIfAborted()
        return await work({ signal, timeoutMs: this.#timeoutMs })
      } catch (error) {
        signal.throwIfAborted()
        if (isTimeout(error)) this.#timeoutMs = Math.min(this.#timeoutMs * 2, LONGEST_TIMEOUT_MS)
        else if (!isRetryable(error) && !isCancelled(error)) throw error
        this.#options.onRetry(error)
      }
      // Half of it random, so that several consumers do not come back at once.
      await pause(retryMs * (0.5 + Math.random() / 2), signal)
    }
  }

  #finish(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#options.onEnd()
  }
}

/** Throws nothing: whoever pauses looks at the signal afterwards. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}

function isTimeout(error: unknown): boolean {
  return error instanceof TripwireStorageError && error.code === 'TIMEOUT'
}

/** By an operator, or by the server's own time limit. */
function isCancelled(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === SQLSTATE.queryCanceled
}
