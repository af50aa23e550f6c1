import type pg from 'pg'
import { sendCancelRequest } from './cancel-request.ts'

/** A request that comes between two statements, or before one has arrived, cancels nothing, and the server does not say so. */
const REPEAT_MS = 500
/** How long a server may take to stop what it was asked to cancel, before its connection is broken. */
const LONGEST_CANCEL_MS = 5000

/** Lets a signal cancel what a connection runs. */
export class Cancelling {
  readonly #client: pg.PoolClient
  readonly #signal: AbortSignal | undefined
  readonly #connectionString: string
  readonly #cancel = () => this.#begin()
  readonly #requests: Promise<void>[] = []
  #repeating: NodeJS.Timeout | undefined
  #breaking: NodeJS.Timeout | undefined
  #isBroken = false

  /** @param connectionString with which the connection was made. */
  constructor(client: pg.PoolClient, signal: AbortSignal | undefined, connectionString: string) {
    this.#client = client
    this.#signal = signal
    this.#connectionString = connectionString
    if (signal?.aborted) this.#begin()
    else signal?.addEventListener('abort', this.#cancel)
  }

  /** Returns whether the connection was cancelled. It must be given up then: the cancellation may arrive late. */
  async end(): Promise<boolean> {
    this.#signal?.removeEventListener('abort', this.#cancel)
    clearInterval(this.#repeating)
    clearTimeout(this.#breaking)
    // Where the server is silent, so are its answers to these.
    if (!this.#isBroken) await Promise.all(this.#requests)
    return this.#requests.length > 0
  }

  #begin(): void {
    const request = () => void this.#requests.push(sendCancelRequest(this.#client, this.#connectionString))
    request()
    this.#repeating = setInterval(request, REPEAT_MS)
    this.#breaking = setTimeout(() => {
      // The server is frozen, or the network gone: nobody would ever hear of it.
      this.#isBroken = true
      this.#client.connection.stream.destroy()
    }, LONGEST_CANCEL_MS)
  }
}
