/** What a person would call the content of a message: its SQL, its tag, its error. */
import type { Side, WireMessage } from './wire-messages.ts'

const HEADER_BYTES = 5

const READERS: Readonly<Record<Side, Readonly<Partial<Record<WireMessage, (bytes: Buffer) => string>>>>> = {
  client: {
    Query: bytes => cString(bytes, HEADER_BYTES),
    // The statement's name comes before its SQL.
    Parse: bytes => cString(bytes, HEADER_BYTES + cStringBytes(bytes, HEADER_BYTES) + 1),
    CopyData: bytes => bytes.toString('utf8', HEADER_BYTES),
    CopyFail: bytes => cString(bytes, HEADER_BYTES),
    StartupMessage: startupParameters,
  },
  server: {
    CommandComplete: bytes => cString(bytes, HEADER_BYTES),
    CopyData: bytes => bytes.toString('utf8', HEADER_BYTES),
    ErrorResponse: errorText,
    NoticeResponse: errorText,
    ParameterStatus: bytes => bytes.toString('utf8', HEADER_BYTES, bytes.length - 1).replace('\0', '='),
    ReadyForQuery: bytes => bytes.toString('latin1', HEADER_BYTES),
  },
}

export function hasText(from: Side, message: WireMessage): boolean {
  return READERS[from][message] !== undefined
}

/**
 * - Query, Parse: the SQL
 * - CopyData: the bytes as UTF-8
 * - StartupMessage: `user=… database=… application_name=…`
 * - CommandComplete: the tag, such as `COPY 3`
 * - ErrorResponse, NoticeResponse: SQLSTATE, a blank, the message
 * - ReadyForQuery: `I` outside a transaction, `T` in one, `E` in one that failed
 * @param bytes the message with its header; of a part of one, what is there.
 */
export function textOf(from: Side, message: WireMessage, bytes: Buffer): string | undefined {
  return READERS[from][message]?.(bytes)
}

function cStringBytes(bytes: Buffer, start: number): number {
  const end = bytes.indexOf(0, start)
  return (end === -1 ? bytes.length : end) - start
}

function cString(bytes: Buffer, start: number): string {
  return bytes.toString('utf8', start, start + cStringBytes(bytes, start))
}

function startupParameters(bytes: Buffer): string {
  const words = bytes.toString('utf8', 8).split('\0')
  const pairs: string[] = []
  for (let at = 0; at + 1 < words.length && words[at] !== ''; at += 2)
    pairs.push(`${words[at]}=${words[at + 1]}`)
  return pairs.join(' ')
}

/** Fields: one letter, then a text that ends with 0. */
function errorText(bytes: Buffer): string {
  const fields = new Map<string, string>()
  for (const field of bytes.toString('utf8', HEADER_BYTES).split('\0'))
    fields.set(field.slice(0, 1), field.slice(1))
  return `${fields.get('C') ?? ''} ${fields.get('M') ?? ''}`
}
