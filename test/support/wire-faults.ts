/** Which faults are planned, and which message sets one off. */
import type { ClientMessage, ServerMessage, Side, WireMessage } from './wire-messages.ts'
import { hasText } from './wire-text.ts'

interface MatchOptions {
  /** On the content of the message, see `textOf`. The message is then held whole. */
  readonly text?: RegExp
  /** The first match that counts, from 1, over all connections since the fault was injected. */
  readonly nth?: number
}

export type MessageMatch =
  | ({ readonly from: 'client'; readonly message: ClientMessage } & MatchOptions)
  | ({ readonly from: 'server'; readonly message: ServerMessage } & MatchOptions)

/** See the table at `startWireProxy`. */
export type FaultAction = 'cut-before' | 'cut-after' | 'cut-now' | 'freeze' | { readonly delayMs: number }

/** `end`: the client reads an end of stream (FIN). `reset`: it gets ECONNRESET (RST), and may lose what was sent before. */
export type ClientSees = 'end' | 'reset'

export interface FaultSpec {
  readonly when: MessageMatch
  readonly action: FaultAction
  /** How often it fires. Default 1. */
  readonly times?: number
  /** Of a cut. Default `end`. */
  readonly clientSees?: ClientSees
}

export interface Firing {
  /** The connection's number in `proxy.log`. */
  readonly connection: number
  readonly text: string | undefined
}

export interface Fault {
  /** When it begins to act for the first time: the connection is frozen or cut, or is going to be. Rejects when the proxy is closed before. */
  readonly fired: Promise<Firing>
  /**
   * When the server has ended the first connection that it hit. Nothing changes any more then: what the server did
   * is visible to others, its locks are free. Waits for ever after `freeze` or a delay on a connection that stays.
   */
  readonly settled: Promise<void>
  readonly count: number
  /** It fires no more. What it froze stays frozen. */
  remove(): void
}

const WITHOUT_ANSWER: ReadonlySet<WireMessage> = new Set<WireMessage>([
  'Terminate',
  'CancelRequest',
  'SSLRequest',
  'GSSENCRequest',
])

function checkSpec({ when, action, times = 1 }: FaultSpec): void {
  const nth = when.nth ?? 1
  if (!Number.isInteger(nth) || nth < 1) throw new RangeError(`nth must be 1 or more, got ${nth}`)
  if (!(times >= 1)) throw new RangeError(`times must be 1 or more, got ${times}`)
  if (when.text !== undefined && !hasText(when.from, when.message)) {
    throw new TypeError(`${when.message} of the ${when.from} has no text to match on`)
  }
  if (when.from === 'client' && action === 'cut-after' && WITHOUT_ANSWER.has(when.message)) {
    throw new TypeError(`cut-after waits for the answer, and ${when.message} has none`)
  }
}

export class PlannedFault implements Fault {
  readonly spec: FaultSpec
  readonly #remove: (fault: PlannedFault) => void
  readonly #fired = Promise.withResolvers<Firing>()
  readonly #settled = Promise.withResolvers<void>()
  #matches = 0
  #count = 0

  constructor(spec: FaultSpec, remove: (fault: PlannedFault) => void) {
    checkSpec(spec)
    this.spec = spec
    this.#remove = remove
    // A test that does not wait for them must not fail by an unhandled rejection.
    this.#fired.promise.catch(() => undefined)
    this.#settled.promise.catch(() => undefined)
  }

  get fired(): Promise<Firing> {
    return this.#fired.promise
  }

  get settled(): Promise<void> {
    return this.#settled.promise
  }

  get count(): number {
    return this.#count
  }

  concerns(from: Side, message: WireMessage): boolean {
    return this.spec.when.from === from && this.spec.when.message === message
  }

  /** Counts a message that it concerns. True when it fires. */
  hit(text: string | undefined): boolean {
    const { when, times = 1 } = this.spec
    // Unlike test(), search() keeps no state in a regular expression with the flag g.
    if (when.text !== undefined && (text === undefined || text.search(when.text) === -1)) return false
    this.#matches++
    if (this.#matches < (when.nth ?? 1)) return false
    this.#count++
    if (this.#count >= times) this.#remove(this)
    return true
  }

  report(firing: Firing, gone: Promise<void>): void {
    this.#fired.resolve(firing)
    this.#settled.resolve(gone)
  }

  proxyClosed(): void {
    const { from, message, text } = this.spec.when
    const error = new Error(`the proxy was closed before ${message} ${text ?? ''} of the ${from} came`)
    this.#fired.reject(error)
    this.#settled.reject(error)
  }

  remove(): void {
    this.#remove(this)
  }
}

export class FaultPlan {
  /** Fired or not: closing must settle the promises of all. */
  readonly #all: PlannedFault[] = []
  readonly #armed = new Set<PlannedFault>()

  add(spec: FaultSpec): PlannedFault {
    const fault = new PlannedFault(spec, done => this.#armed.delete(done))
    this.#all.push(fault)
    this.#armed.add(fault)
    return fault
  }

  wantsText(from: Side, message: WireMessage): boolean {
    for (const fault of this.#armed) {
      if (fault.spec.when.text !== undefined && fault.concerns(from, message)) return true
    }
    return false
  }

  /** The fault that this message sets off. Of several, the one injected first; the others do not count it. */
  match(from: Side, message: WireMessage, text: string | undefined): PlannedFault | undefined {
    for (const fault of this.#armed) {
      if (fault.concerns(from, message) && fault.hit(text)) return fault
    }
    return undefined
  }

  close(): void {
    this.#armed.clear()
    for (const fault of this.#all) fault.proxyClosed()
  }
}
