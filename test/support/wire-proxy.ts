import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, parse } from 'pg-connection-string'
import { type WireAddress, WireConnection, type WireShared } from './wire-connection.ts'
import { type Fault, FaultPlan, type FaultSpec } from './wire-faults.ts'
import { WireLog } from './wire-log.ts'
import type { Side } from './wire-messages.ts'

export type { ClientSees, Fault, FaultAction, FaultSpec, Firing, MessageMatch } from './wire-faults.ts'

const HOST = '127.0.0.1'

export interface WireProxyOptions {
  /** The connection string of the database. */
  readonly target: string
  /**
   * What becomes of a client that asks for TLS. `refused`: the proxy says on the server's behalf that there is none. `passed`: the server
   * answers; what is said then is passed on, and no fault can be set off by it. Defaults to `refused`.
   */
  readonly tls?: 'refused' | 'passed'
  /** Sees what each side sends, as it arrives. */
  readonly watch?: (from: Side, chunk: Buffer) => void
}

export interface WireProxy extends AsyncDisposable {
  /** The same user, password, database and options, through the proxy. Without TLS, unless that is passed. */
  readonly connectionString: string
  /** For connections that begin from now on. */
  tls: 'refused' | 'passed'
  /** Connections that are neither cut nor closed, frozen ones too. */
  readonly connections: number
  /** The last thousand things that happened, a line each. */
  readonly log: readonly string[]
  inject(spec: FaultSpec): Fault
  /** Nothing is passed on any more, in neither direction. New connections are accepted, and silent. */
  freezeAll(): void
  /** Ends every freeze. What was held is passed on, even if its sender is gone by now. */
  thaw(): void
  /** New connections are refused (ECONNREFUSED). With `cut`, those that are open end. */
  refuse(options?: { readonly cut?: boolean }): void
  /** New connections are accepted again, on the same port. */
  accept(): Promise<void>
  /** Cuts all connections at once. Resolves when the server has ended them: see `Fault.settled`. */
  cutAll(): Promise<void>
  close(): Promise<void>
}

/**
 * A proxy before a real PostgreSQL that breaks connections at chosen protocol messages. What a fault means for the
 * data depends on the place of the cut. "Applied" is what other connections see once `fault.settled` is resolved;
 * the client sees a broken connection in every row but the last.
 *
 * | statement                   | from    | message                    | action      | applied                   |
 * | --------------------------- | ------- | -------------------------- | ----------- | ------------------------- |
 * | any                         | client  | Query, Parse /sql/         | cut-before  | no                        |
 * | COPY … FROM STDIN           | client  | CopyData, CopyDone         | cut-before  | no                        |
 * | extended, no BEGIN          | client  | Bind, Execute, Sync        | cut-before  | no                        |
 * | COPY … FROM STDIN           | server  | CopyInResponse             | cut-before  | no; yes if all of it was sent ahead |
 * | in BEGIN, before COMMIT     | either  | anything                   | any cut     | no                        |
 * | BEGIN … COMMIT              | client  | Query /^COMMIT/            | cut-before  | no                        |
 * | BEGIN … COMMIT              | client  | Query /^COMMIT/            | cut-after   | yes                       |
 * | BEGIN … COMMIT              | server  | CommandComplete /^COMMIT/  | cut-before  | yes                       |
 * | simple, one statement; COPY | server  | CommandComplete /^COPY/    | cut-before  | yes                       |
 * | simple, one statement; COPY | client  | Query /sql/, CopyDone      | cut-after   | yes                       |
 * | simple, several statements  | server  | CommandComplete of the last | cut-before | yes                       |
 * | extended, no BEGIN          | client  | Parse /sql/, Execute, Sync | cut-after   | yes                       |
 * | extended, no BEGIN          | server  | ReadyForQuery              | cut-before  | yes                       |
 * | the one that commits        | client  | Query, CopyDone, Sync      | cut-now     | yes, but not yet when the client learns of the cut |
 * | any                         | client  | as cut-before              | freeze      | no, until thaw            |
 * | any                         | server  | as cut-before              | freeze      | as cut-before             |
 *
 * "Yes" holds where the server accepts the statement: an error is swallowed as well. PostgreSQL commits before it
 * sends the CommandComplete of COMMIT, or of the last statement of a simple Query. Of the extended protocol it
 * commits at Sync, which is after CommandComplete: cut at ReadyForQuery there.
 *
 * The actions:
 * - `cut-before`: ends both sides before the message is passed on. What came before it is passed on.
 * - `cut-after`, client: passes everything on, keeps the answer from the client, but for what it must
 *   see to go on (CopyInResponse, Authentication), and ends both sides at the ReadyForQuery that ends the answer. Answers to what was sent before (a
 *   pipeline) still arrive. Server: passes the message on, then ends both sides.
 * - `cut-now`: passes the message on, then ends both sides without waiting for an answer.
 * - `freeze`: holds the message and all that comes after it, in both directions, until `thaw`. A side that closes
 *   its socket meanwhile goes unnoticed by the other one, as when a network swallows the packets.
 * - `delayMs`: passes the message on later, and all that follows it in this direction.
 *
 * Limits: nothing of this with TLS. `cut-after` counts answers, and a Sync in the midst of a
 * COPY FROM STDIN has none. With a client that waits for an answer before its Sync (a cursor), `cut-after` does not end.
 */
export async function startWireProxy(options: WireProxyOptions): Promise<WireProxy> {
  const target = parse(options.target)
  const proxy = new ListeningWireProxy(options, addressOf(target), port =>
    through(options.target, target, port, proxy.tls === 'passed'),
  )
  await proxy.accept()
  return proxy
}

class ListeningWireProxy implements WireProxy {
  tls: 'refused' | 'passed'
  readonly #watch: (from: Side, chunk: Buffer) => void
  readonly #target: WireAddress
  readonly #connectionStringFor: (port: number) => string
  readonly #faults = new FaultPlan()
  readonly #log = new WireLog()
  readonly #connections = new Set<WireConnection>()
  #listener: Server | undefined
  /** 0 before the first time: any. */
  #port = 0
  #counter = 0
  #isFrozen = false
  #isClosed = false

  constructor(
    { tls = 'refused', watch = () => undefined }: WireProxyOptions,
    target: WireAddress,
    connectionStringFor: (port: number) => string,
  ) {
    this.tls = tls
    this.#watch = watch
    this.#target = target
    this.#connectionStringFor = connectionStringFor
  }

  get connectionString(): string {
    return this.#connectionStringFor(this.#port)
  }

  get connections(): number {
    return [...this.#connections].filter(connection => connection.isOpen).length
  }

  get log(): readonly string[] {
    return this.#log.lines()
  }

  inject(spec: FaultSpec): Fault {
    if (this.#isClosed) throw new Error('the proxy is closed')
    return this.#faults.add(spec)
  }

  freezeAll(): void {
    this.#isFrozen = true
    for (const connection of this.#connections) connection.gate.close()
  }

  thaw(): void {
    this.#isFrozen = false
    for (const connection of this.#connections) connection.gate.open()
  }

  refuse(options: { readonly cut?: boolean } = {}): void {
    this.#listener?.close()
    this.#listener = undefined
    if (options.cut) void this.cutAll()
  }

  async accept(): Promise<void> {
    if (this.#isClosed) throw new Error('the proxy is closed')
    if (this.#listener !== undefined) return
    const listener = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
    listener.on('connection', socket =>
      this.#connect(new WireConnection(++this.#counter, socket, this.#shared())),
    )
    this.#listener = listener
    this.#port = await listen(listener, this.#port)
    listener.on('error', error => this.#log.add(0, 'client', 'proxy', String(error)))
  }

  async cutAll(): Promise<void> {
    await Promise.all([...this.#connections].map(connection => connection.cut()))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.refuse()
    this.#faults.close()
    for (const connection of this.#connections) connection.destroy()
    await Promise.all([...this.#connections].map(connection => connection.closed))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #shared(): WireShared {
    return {
      target: this.#target,
      faults: this.#faults,
      log: this.#log,
      passesTls: () => this.tls === 'passed',
      watch: this.#watch,
    }
  }

  #connect(connection: WireConnection): void {
    this.#connections.add(connection)
    void connection.closed.then(() => this.#connections.delete(connection))
    if (this.#isClosed) connection.destroy()
    else if (this.#isFrozen) connection.gate.close()
    void connection.start()
  }
}

const LISTEN_ATTEMPTS = 100

/** While connections were refused, another process may have used the port for a moment. */
async function listen(listener: Server, port: number): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      await once(listener.listen(port, HOST), 'listening')
      break
    } catch (error) {
      if (attempt === LISTEN_ATTEMPTS) throw error
      await sleep(20)
    }
  }
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy got no TCP port')
  return address.port
}

function addressOf(target: ConnectionOptions): WireAddress {
  const port = Number(target.port || 5432)
  const host = target.host || 'localhost'
  return host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
}

const REPLACED_PARAMETERS: ReadonlySet<string> = new Set(['host', 'port', 'user', 'password'])

function through(url: string, target: ConnectionOptions, port: number, keepsTls: boolean): string {
  const kept = new URLSearchParams(url.split('?')[1] ?? '')
  for (const name of [...kept.keys()]) {
    const isOfTls = name.startsWith('ssl')
    if (isOfTls ? !keepsTls : REPLACED_PARAMETERS.has(name)) kept.delete(name)
  }
  const password = target.password === undefined ? '' : `:${encodeURIComponent(target.password)}`
  const user = target.user === undefined ? '' : `${encodeURIComponent(target.user)}${password}@`
  const query = kept.size > 0 ? `?${kept.toString()}` : ''
  return `postgres://${user}${HOST}:${port}/${encodeURIComponent(target.database ?? '')}${query}`
}
