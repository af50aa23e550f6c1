import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientSees, FaultPlan, PlannedFault } from './wire-faults.ts'
import type { WireLog } from './wire-log.ts'
import { MessageSplitter, type Piece, type Side, type WireMessage } from './wire-messages.ts'
import { Gate, Pump, send } from './wire-pump.ts'
import { textOf } from './wire-text.ts'

export type WireAddress = { readonly host: string; readonly port: number } | { readonly path: string }

export interface WireShared {
  readonly target: WireAddress
  readonly faults: FaultPlan
  readonly log: WireLog
  /** Whether a client that asks for TLS may have it from the server. What is said then cannot be read. */
  readonly passesTls: () => boolean
  /** Sees what each side sends, as it arrives. */
  readonly watch: (from: Side, chunk: Buffer) => void
}

/** How a TLS handshake begins. */
const TLS_HANDSHAKE = 0x16

/** Each of these, when it reaches the server, is answered by one ReadyForQuery. */
const ENDS_A_ROUND: ReadonlySet<WireMessage> = new Set<WireMessage>(['Query', 'Sync', 'FunctionCall'])
/** These belong to the round that the next Sync ends. */
const OPENS_A_ROUND: ReadonlySet<WireMessage> = new Set<WireMessage>([
  'Parse',
  'Bind',
  'Describe',
  'Execute',
  'Close',
  'Flush',
])
/** A client waits for these before it sends its rows, or its password. Without them the answer would never end. */
const AWAITED: ReadonlySet<WireMessage> = new Set<WireMessage>(['CopyInResponse', 'Authentication'])
/** For the log; a CopyData is data. */
const LOGGED_TEXT: ReadonlySet<WireMessage> = new Set<WireMessage>([
  'Query',
  'Parse',
  'StartupMessage',
  'CommandComplete',
  'ErrorResponse',
  'NoticeResponse',
  'ReadyForQuery',
])

const BRIEF_BYTES = 500

interface Hit {
  readonly fault: PlannedFault
  readonly text: string | undefined
}

interface Flow {
  readonly splitter: MessageSplitter
  readonly sink: Socket
  /** To be sent: messages that came in one chunk go out in one write. */
  waiting: Buffer[]
  /** The message that is being passed on is the last one. */
  cutAtEnd: PlannedFault | undefined
}

/** One client, its connection to the server, and what may be done to the two. */
export class WireConnection {
  readonly id: number
  /** When both sockets are closed. */
  readonly closed: Promise<void>
  /** When the server has closed its end, or never was reached. */
  readonly serverGone: Promise<void>
  readonly gate = new Gate()
  readonly #client: Socket
  readonly #server = new Socket({ allowHalfOpen: true })
  readonly #shared: WireShared
  readonly #flows: Readonly<Record<Side, Flow>>
  readonly #delays = new AbortController()
  readonly #pumps: Pump[] = []
  #isCut = false
  /** Encrypted from here on. */
  #isOpaque = false
  #hasBegun = false
  /** Rounds that the server owes or owed an answer. The first is the startup. */
  #roundsSent = 1
  #roundsAnswered = 0
  /** The round after whose answer the connection is cut, for `cut-after`. */
  #lastRound: { readonly number: number; readonly clientSees: ClientSees } | undefined

  constructor(id: number, client: Socket, shared: WireShared) {
    this.id = id
    this.#client = client
    this.#shared = shared
    this.#flows = { client: this.#flow('client', this.#server), server: this.#flow('server', client) }
    this.serverGone = closing(this.#server)
    this.closed = Promise.all([closing(client), this.serverGone]).then(() => undefined)
    this.#server.setNoDelay(true)
  }

  get isOpen(): boolean {
    return !this.#isCut && !this.#client.destroyed && !this.#server.destroyed
  }

  /** A connection that is frozen from its beginning does not reach the server. */
  async start(): Promise<void> {
    await this.gate.pass()
    if (this.#isCut) return
    this.#server.connect(this.#shared.target)
    this.#pump('client', this.#client)
    this.#pump('server', this.#server)
  }

  /** Ends both sides. What was passed on before still arrives. Resolves when the server has closed its end. */
  async cut(clientSees: ClientSees = 'end'): Promise<void> {
    if (!this.#isCut) {
      this.#isCut = true
      this.#delays.abort()
      this.gate.open()
      if (clientSees === 'reset') this.#client.resetAndDestroy()
      else this.#client.end()
      // An end, not a reset: the server works through what it got, and its own end tells that it has.
      if (this.#server.pending) this.#server.destroy()
      else this.#server.end()
      for (const pump of this.#pumps) pump.discard()
      void this.serverGone.then(() => this.#client.destroySoon())
    }
    return this.serverGone
  }

  destroy(): void {
    this.#isCut = true
    this.#delays.abort()
    this.gate.open()
    this.#client.destroy()
    this.#server.destroy()
  }

  #flow(from: Side, sink: Socket): Flow {
    const wantsWhole = (message: WireMessage) => this.#shared.faults.wantsText(from, message)
    return { splitter: new MessageSplitter(from, wantsWhole), sink, waiting: [], cutAtEnd: undefined }
  }

  #pump(from: Side, source: Socket): void {
    const flow = this.#flows[from]
    const pump = new Pump(source, {
      chunk: chunk => this.#pass(from, flow, chunk),
      end: async () => {
        await this.gate.pass()
        if (!this.#isCut) flow.sink.end()
      },
      close: async () => {
        await this.gate.pass()
        void this.cut()
      },
      failed: error => {
        this.#shared.log.add(this.id, from, 'proxy', String(error))
        void this.cut()
      },
    })
    this.#pumps.push(pump)
  }

  async #pass(from: Side, flow: Flow, chunk: Buffer): Promise<void> {
    this.#shared.watch(from, chunk)
    if (this.#isOpaque || this.#beginsWithTls(from, chunk)) {
      flow.waiting.push(chunk)
      return this.#flush(flow)
    }
    for (const piece of flow.splitter.push(chunk)) {
      const hit = piece.start ? this.#arrived(from, piece) : undefined
      if (hit !== undefined) await this.#act(from, flow, hit)
      if (this.#isCut) return
      if (this.#isForwarded(from, piece)) flow.waiting.push(piece.bytes)
      if (piece.end && flow.cutAtEnd !== undefined) {
        await this.#flush(flow)
        void this.cut(flow.cutAtEnd.spec.clientSees)
        return
      }
      if (piece.end && piece.message === 'ReadyForQuery' && this.#answered()) {
        await this.#flush(flow)
        void this.cut(this.#lastRound?.clientSees)
        return
      }
    }
    await this.#flush(flow)
  }

  async #flush(flow: Flow): Promise<void> {
    await this.gate.pass()
    if (this.#isCut || flow.waiting.length === 0) return
    const bytes = flow.waiting.length === 1 ? flow.waiting[0] : Buffer.concat(flow.waiting)
    flow.waiting = []
    if (bytes !== undefined) await send(flow.sink, bytes)
  }

  /** Logs and counts a message. Returns the fault that it sets off. */
  #arrived(from: Side, piece: Piece): Hit | undefined {
    const { message, bytes } = piece
    const { log, faults } = this.#shared
    const isWhole = faults.wantsText(from, message)
    const isRead = isWhole || LOGGED_TEXT.has(message)
    const text = isRead ? textOf(from, message, isWhole ? bytes : bytes.subarray(0, BRIEF_BYTES)) : undefined
    log.add(this.id, from, message, LOGGED_TEXT.has(message) ? text : undefined)
    if (from === 'client' && ENDS_A_ROUND.has(message)) this.#roundsSent++
    // It is as good as cut already; another fault would be used up for nothing.
    if (this.#lastRound !== undefined) return undefined
    const fault = faults.match(from, message, text)
    if (fault === undefined) return undefined
    log.add(this.id, from, 'proxy', `${JSON.stringify(fault.spec.action)} at ${message}`)
    return { fault, text }
  }

  async #act(from: Side, flow: Flow, { fault, text }: Hit): Promise<void> {
    const { action, when, clientSees = 'end' } = fault.spec
    // Not before it acts: a test that thaws as soon as it hears of a freeze must find it frozen.
    const report = () => fault.report({ connection: this.id, text }, this.serverGone)
    if (action === 'cut-after' && from === 'client') {
      const number = OPENS_A_ROUND.has(when.message) ? this.#roundsSent + 1 : this.#roundsSent
      this.#lastRound = { number, clientSees }
      report()
    } else if (action === 'cut-after' || action === 'cut-now') {
      flow.cutAtEnd = fault
      report()
    } else {
      await this.#flush(flow)
      if (action === 'cut-before') void this.cut(clientSees)
      else if (action === 'freeze') this.gate.close()
      report()
      if (action === 'freeze') await this.gate.pass()
      if (typeof action === 'object') await this.#delay(action.delayMs)
    }
  }

  async #delay(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#delays.signal }).catch(() => undefined)
  }

  #isForwarded(from: Side, piece: Piece): boolean {
    if (from === 'server') {
      const swallows = this.#lastRound !== undefined && this.#roundsAnswered + 1 >= this.#lastRound.number
      return !swallows || AWAITED.has(piece.message)
    }
    if (piece.message !== 'SSLRequest' && piece.message !== 'GSSENCRequest') return true
    if (piece.message === 'SSLRequest' && this.#shared.passesTls()) {
      this.#isOpaque = true
      return true
    }
    // Encrypted traffic could not be read, so the proxy refuses on the server's behalf.
    this.#client.write('N')
    return false
  }

  /** A client that does not ask before. */
  #beginsWithTls(from: Side, chunk: Buffer): boolean {
    if (from !== 'client' || this.#hasBegun) return false
    this.#hasBegun = true
    this.#isOpaque = chunk[0] === TLS_HANDSHAKE && this.#shared.passesTls()
    if (this.#isOpaque) this.#shared.log.add(this.id, from, 'proxy', 'TLS without a request')
    return this.#isOpaque
  }

  /** Counts an answered round. True when it was the last one to be waited for. */
  #answered(): boolean {
    this.#roundsAnswered++
    return this.#lastRound !== undefined && this.#roundsAnswered >= this.#lastRound.number
  }
}

/** An 'error' is followed by 'close'; listening to it keeps the process alive. */
function closing(socket: Socket): Promise<void> {
  socket.on('error', () => undefined)
  return new Promise(resolve => socket.once('close', () => resolve()))
}
