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
  readonly #cancel = () => this.#begin()
  readonly #requests: Promise<void>[] = []
  /** Ends the requests: there is nothing to cancel any more. */
  readonly #broken = new AbortController()
  #repeating: NodeJS.Timeout | undefined
  #breaking: NodeJS.Timeout | undefined

  constructor(client: pg.PoolClient, signal: AbortSignal | undefined) {
    this.#client = client
    this.#signal = signal
    if (signal?.aborted) this.#begin()
    else signal?.addEventListener('abort', this.#cancel)
  }

  /** Returns whether the connection was cancelled. It must be given up then: the cancellation may arrive late. */
  async end(): Promise<boolean> {
    this.#signal?.removeEventListener('abort', this.#cancel)
    clearInterval(this.#repeating)
    clearTimeout(this.#breaking)
    await Promise.all(this.#requests)
    return this.#requests.length > 0
  }

  #begin(): void {
    const { stream } = this.#client.connection
    if (stream.destroyed) this.#broken.abort()
    else stream.once('close', () => this.#broken.abort())
    const request = () => void this.#requests.push(sendCancelRequest(this.#client, this.#broken.signal))
    request()
    this.#repeating = setInterval(request, REPEAT_MS)
    // The server is frozen, or the network gone: nobody would ever hear of it.
    this.#breaking = setTimeout(() => stream.destroy(), LONGEST_CANCEL_MS)
  }
}
