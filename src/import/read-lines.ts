import { InvalidInputError } from '../errors.ts'
import { parseInteger } from '../model/input.ts'
import { GzipError, gunzipIfCompressed } from './gunzip.ts'

/** A line, or why it cannot be given. Lines are counted from 1; empty ones count, but are not given. */
export type ReadLine =
  | { readonly lineNumber: number; readonly text: string }
  | { readonly lineNumber: number; readonly problem: string }

export interface ReadLinesOptions {
  /** The longest line in bytes, without its end. A longer one is a problem, and is never held whole. Defaults to 1,048,576. */
  readonly maxLineBytes?: number
}

const DEFAULT_MAX_LINE_BYTES = 1_048_576
const LARGEST_MAX_LINE_BYTES = 268_435_456

/**
 * The lines of a text file in UTF-8, plain or compressed with gzip, in bounded memory. A line ends with LF or CRLF, the last
 * one also with the file; a byte order mark at the start is dropped. Leaving the loop early releases the source.
 *
 * ```ts
 * for await (const line of readLines(createReadStream('events.ndjson.gz'))) {
 *   if ('text' in line) console.log(line.lineNumber, line.text)
 * }
 * ```
 * @throws InvalidInputError with the field `source` when compressed data is damaged or ends too early, after the lines
 * before it; its value says after how many. Gzip notices damage late, so the last lines before it may be garbled or
 * missing. An error of the source itself is passed on.
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  options: ReadLinesOptions = {},
): AsyncGenerator<ReadLine> {
  const { maxLineBytes = DEFAULT_MAX_LINE_BYTES } = options
  const splitter = new LineSplitter(parseInteger('maxLineBytes', maxLineBytes, 1, LARGEST_MAX_LINE_BYTES))
  try {
    for await (const bytes of gunzipIfCompressed(source)) yield* splitter.push(bytes)
  } catch (cause) {
    if (!(cause instanceof GzipError)) throw cause
    const found = `${cause.message}, after ${splitter.lineCount} lines`
    throw new InvalidInputError('source', found, 'a whole gzip file', { cause })
  }
  yield* splitter.finish()
}

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const
/** Bytes that may be held beyond a line's content: the byte order mark and the carriage return. */
const MARK_AND_RETURN = BYTE_ORDER_MARK.length + 1

class LineSplitter {
  lineCount = 0
  readonly #maxLineBytes: number
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #held: Uint8Array[] = []
  #heldBytes = 0
  #tooLong = false

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  *push(bytes: Uint8Array): Generator<ReadLine> {
    let start = 0
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
      this.#hold(bytes.subarray(start, end))
      yield* this.#endLine()
      start = end + 1
    }
    // A copy, because the source may use its buffer again.
    const rest = bytes.subarray(start)
    this.#hold(this.#tooLong ? rest : Buffer.from(rest))
  }

  /** The last line, when no line end follows it. */
  *finish(): Generator<ReadLine> {
    if (this.#heldBytes > 0 || this.#tooLong) yield* this.#endLine()
  }

  #hold(bytes: Uint8Array): void {
    this.#heldBytes += bytes.length
    if (this.#heldBytes > this.#maxLineBytes + MARK_AND_RETURN) {
      this.#tooLong = true
      this.#held = []
    } else if (bytes.length > 0) {
      this.#held.push(bytes)
    }
  }

  *#endLine(): Generator<ReadLine> {
    const [only = new Uint8Array()] = this.#held
    const line = this.#held.length > 1 ? Buffer.concat(this.#held) : only
    const wasTooLong = this.#tooLong
    this.#held = []
    this.#heldBytes = 0
    this.#tooLong = false
    this.lineCount++
    const lineNumber = this.lineCount
    const content = withoutMarkAndReturn(line, lineNumber === 1)
    if (wasTooLong || content.length > this.#maxLineBytes) {
      yield { lineNumber, problem: `longer than ${this.#maxLineBytes} bytes` }
      return
    }
    const text = this.#decode(content)
    if (text === undefined) yield { lineNumber, problem: 'not valid UTF-8' }
    else if (text.trim() !== '') yield { lineNumber, text }
  }

  #decode(bytes: Uint8Array): string | undefined {
    try {
      return this.#decoder.decode(bytes)
    } catch {
      return undefined
    }
  }
}

function withoutMarkAndReturn(line: Uint8Array, isFirst: boolean): Uint8Array {
  const hasMark = isFirst && BYTE_ORDER_MARK.every((byte, index) => line[index] === byte)
  const start = hasMark ? BYTE_ORDER_MARK.length : 0
  const end = line.at(-1) === CARRIAGE_RETURN ? line.length - 1 : line.length
  return line.subarray(start, end)
}
