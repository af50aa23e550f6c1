import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const HOST = '127.0.0.1'
const LISTEN_ATTEMPTS = 100

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
  isLost: boolean
}

/** Passes connections on from a port that stays to a server whose port changes; cuts, stalls and loses them. */
export class Forwarder {
  /** The port of the server. */
  target = 0
  readonly #pairs = new Set<Pair>()
  /** Sides of clients whose network swallows everything, until `forgetLost`. */
  readonly #lostClients = new Set<Socket>()
  #listener: Server | undefined
  #port = 0
  #stalls = 0
  #refusals = 0
  #isClosed = false

  get port(): number {
    return this.#port
  }

  async listen(): Promise<void> {
    for (let attempt = 1; !this.#isClosed; attempt++) {
      const listener = createServer({ noDelay: true }, client => this.#connect(client))
      try {
        await once(listener.listen(this.#port, HOST), 'listening')
        this.#listener = listener
        const address = listener.address()
        if (address !== null && typeof address === 'object') this.#port = address.port
        return
      } catch (error) {
        // While connections were refused, somebody else may have had the port for a moment.
        if (attempt === LISTEN_ATTEMPTS) throw error
        await sleep(20)
      }
    }
  }

  /** Breaks every connection. */
  cutAll(): void {
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy()
      upstream.resetAndDestroy()
    }
  }

  /** Passes nothing on for a while, then everything that was held. New connections are accepted, and silent. */
  async stall(ms: number): Promise<void> {
    this.#stalls++
    for (const pair of this.#pairs) hold(pair)
    await sleep(ms)
    this.#stalls--
    if (this.#stalls === 0) for (const pair of this.#pairs) pass(pair)
  }

  /** Breaks every connection, and refuses new ones for a while. */
  async refuse(ms: number): Promise<void> {
    this.#refusals++
    this.#listener?.close()
    this.cutAll()
    await sleep(ms)
    this.#refusals--
    if (this.#refusals === 0) await this.listen()
  }

  /**
   * The server loses every connection, and the clients never hear of it. What they write from now on is swallowed. The
   * server's side ends at once: how long a server keeps a lost client is a matter of its own settings.
   */
  loseAll(): void {
    for (const pair of this.#pairs) {
      hold(pair)
      pair.isLost = true
      this.#lostClients.add(pair.client)
      pair.upstream.destroy()
    }
  }

  forgetLost(): void {
    for (const client of this.#lostClients) client.destroy()
    this.#lostClients.clear()
  }

  close(): void {
    this.#isClosed = true
    this.#listener?.close()
    this.cutAll()
    this.forgetLost()
  }

  #connect(client: Socket): void {
    const upstream = connect({ host: HOST, port: this.target, noDelay: true })
    const pair: Pair = { client, upstream, isLost: false }
    this.#pairs.add(pair)
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => {
      if (!pair.isLost) client.destroy()
    })
    client.on('close', () => {
      this.#pairs.delete(pair)
      this.#lostClients.delete(client)
      upstream.destroy()
    })
    upstream.on('close', () => {
      this.#pairs.delete(pair)
      if (!pair.isLost) client.destroySoon()
    })
    if (this.#stalls > 0) hold(pair)
    else pass(pair)
  }
}

function hold({ client, upstream }: Pair): void {
  client.unpipe(upstream).pause()
  upstream.unpipe(client).pause()
}

function pass({ client, upstream, isLost }: Pair): void {
  if (isLost) return
  client.pipe(upstream)
  upstream.pipe(client)
}
