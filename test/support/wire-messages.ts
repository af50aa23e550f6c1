/** The names of PostgreSQL's protocol messages, and the cutting of a byte stream into them. */

const CLIENT_TYPES = {
  B: 'Bind',
  C: 'Close',
  d: 'CopyData',
  c: 'CopyDone',
  f: 'CopyFail',
  D: 'Describe',
  E: 'Execute',
  H: 'Flush',
  F: 'FunctionCall',
  P: 'Parse',
  p: 'Password',
  Q: 'Query',
  S: 'Sync',
  X: 'Terminate',
} as const

const SERVER_TYPES = {
  R: 'Authentication',
  K: 'BackendKeyData',
  '2': 'BindComplete',
  '3': 'CloseComplete',
  C: 'CommandComplete',
  d: 'CopyData',
  c: 'CopyDone',
  G: 'CopyInResponse',
  H: 'CopyOutResponse',
  W: 'CopyBothResponse',
  D: 'DataRow',
  I: 'EmptyQueryResponse',
  E: 'ErrorResponse',
  V: 'FunctionCallResponse',
  v: 'NegotiateProtocolVersion',
  n: 'NoData',
  N: 'NoticeResponse',
  A: 'NotificationResponse',
  t: 'ParameterDescription',
  S: 'ParameterStatus',
  '1': 'ParseComplete',
  s: 'PortalSuspended',
  Z: 'ReadyForQuery',
  T: 'RowDescription',
} as const

type StartupPacket = 'StartupMessage' | 'SSLRequest' | 'GSSENCRequest' | 'CancelRequest'

export type Side = 'client' | 'server'
export type ClientMessage = (typeof CLIENT_TYPES)[keyof typeof CLIENT_TYPES] | StartupPacket
export type ServerMessage = (typeof SERVER_TYPES)[keyof typeof SERVER_TYPES]
export type WireMessage = ClientMessage | ServerMessage

/** Of one message: all of it, or a part of one that is not buffered whole. */
export interface Piece {
  readonly message: WireMessage
  readonly bytes: Buffer
  /** It begins the message, so it holds the header. */
  readonly start: boolean
  readonly end: boolean
}

export class WireProtocolError extends Error {
  override readonly name = 'WireProtocolError'
}

interface Head {
  readonly message: WireMessage
  /** Of the whole message, header included. */
  readonly size: number
}

const NAMES: Readonly<Record<Side, ReadonlyMap<string, WireMessage>>> = {
  client: new Map(Object.entries(CLIENT_TYPES)),
  server: new Map(Object.entries(SERVER_TYPES)),
}

const STARTUP_CODES: ReadonlyMap<number, StartupPacket> = new Map([
  [80_877_103, 'SSLRequest'],
  [80_877_104, 'GSSENCRequest'],
  [80_877_102, 'CancelRequest'],
])

/** What the server itself accepts (MAX_STARTUP_PACKET_LENGTH). */
const MAX_STARTUP_BYTES = 10_000

/** A client's first packets have no type byte: length, then a code or the protocol version. */
function startupHead(bytes: Buffer): Head | undefined {
  if (bytes.length < 8) return undefined
  const size = bytes.readUInt32BE(0)
  if (size < 8 || size > MAX_STARTUP_BYTES) {
    throw new WireProtocolError(`no startup packet: it would have ${size} bytes`)
  }
  return { message: STARTUP_CODES.get(bytes.readUInt32BE(4)) ?? 'StartupMessage', size }
}

function typedHead(from: Side, bytes: Buffer): Head | undefined {
  if (bytes.length < 5) return undefined
  const type = bytes.toString('latin1', 0, 1)
  const message = NAMES[from].get(type)
  const length = bytes.readUInt32BE(1)
  if (message === undefined || length < 4) {
    throw new WireProtocolError(`no message of the ${from}: type ${JSON.stringify(type)}, length ${length}`)
  }
  return { message, size: 1 + length }
}

/**
 * Cuts the bytes of one side into messages, however they were cut into chunks. The pieces together are the bytes
 * that came in. A message comes as one piece where it fits into a chunk, or where `wantsWhole` says so; otherwise
 * in parts, so that one of many megabytes is never held.
 */
export class MessageSplitter {
  readonly #from: Side
  readonly #wantsWhole: (message: WireMessage) => boolean
  #untyped: boolean
  #held: Buffer[] = []
  #heldBytes = 0
  /** Nothing can be done before so many bytes are held. */
  #neededBytes = 1
  #open: { readonly message: WireMessage; left: number } | undefined

  constructor(from: Side, wantsWhole: (message: WireMessage) => boolean) {
    this.#from = from
    this.#wantsWhole = wantsWhole
    this.#untyped = from === 'client'
  }

  *push(chunk: Buffer): Generator<Piece, void, undefined> {
    let bytes = this.#hold(chunk)
    while (bytes !== undefined && bytes.length > 0) {
      const piece = this.#open === undefined ? this.#begin(bytes) : this.#go(this.#open, bytes, false)
      if (piece === undefined) return
      yield piece
      bytes = bytes.subarray(piece.bytes.length)
    }
  }

  /** What is held together with the chunk, once that is enough. */
  #hold(chunk: Buffer): Buffer | undefined {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes < this.#neededBytes) return undefined
    const bytes = this.#held.length === 1 ? chunk : Buffer.concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
    this.#neededBytes = 1
    return bytes
  }

  #begin(bytes: Buffer): Piece | undefined {
    const untyped = this.#untyped
    const head = untyped ? startupHead(bytes) : typedHead(this.#from, bytes)
    const whole = head !== undefined && (untyped || this.#wantsWhole(head.message))
    if (head === undefined || (whole && bytes.length < head.size)) {
      this.#held = [bytes]
      this.#heldBytes = bytes.length
      this.#neededBytes = head?.size ?? bytes.length + 1
      return undefined
    }
    // A refused SSLRequest is followed by another packet without a type.
    if (head.message === 'StartupMessage' || head.message === 'CancelRequest') this.#untyped = false
    return this.#go({ message: head.message, left: head.size }, bytes, true)
  }

  #go(open: { readonly message: WireMessage; left: number }, bytes: Buffer, start: boolean): Piece {
    const taken = bytes.subarray(0, open.left)
    open.left -= taken.length
    this.#open = open.left === 0 ? undefined : open
    return { message: open.message, bytes: taken, start, end: open.left === 0 }
  }
}
