import type pg from 'pg'
import { sendCancelRequest } from './cancel-request.ts'

/** How long a server may take to stop what it was asked to cancel, before its connection is broken. */
const LONGEST_CANCEL_MS = 5000

/** Lets a signal cancel what a connection runs. */
export class Cancelling {
  readonly #client: pg.PoolClient
  readonly #signal: AbortSignal | undefined
  readonly #cancel = () => this.#begin()
  #cancelled: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(client: pg.PoolClient, signal: AbortSignal | undefined) {
    this.#client = client
    this.#signal = signal
    if (signal?.aborted) this.#begin()
    else signal?.addEventListener('abort', this.#cancel)
  }

  /** Returns whether the connection was cancelled. It must be given up then: the cancellation may arrive late. */
  async end(): Promise<boolean> {
    this.#signal?.removeEventListener('abort', this.#cancel)
    clearTimeout(this.#timer)
    await this.#cancelled
    return this.#cancelled !== undefined
  }

  #begin(): void {
    this.#timer = setTimeout(() => {
      // The server is frozen, or the network gone: nobody would ever hear of it.
      this.#client.connection.stream.destroy()
    }, LONGEST_CANCEL_MS)
    this.#cancelled = sendCancelRequest(this.#client)
  }
}
