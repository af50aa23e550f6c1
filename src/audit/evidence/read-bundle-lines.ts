import { createReadStream } from 'node:fs'
import { type BundleLine, decodeLine, encodeLine } from './bundle-lines.ts'

/** PostgreSQL keeps a jsonb under 256 MiB; escaped in JSON it may take more. */
const LONGEST_LINE = 2 ** 29 - 2 ** 20
const LINE_FEED = '\n'

/** A bundle that is no bundle. */
export class UnreadableBundleError extends Error {
  readonly line: number

  constructor(line: number, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.line = line
  }
}

/**
 * The lines of a bundle, one after the other. Split at line feeds only: the JSON of a payload may hold the other characters
 * that some take for the end of a line.
 * @throws UnreadableBundleError, and the error of the file system.
 */
export async function* readBundleLines(path: string): AsyncGenerator<BundleLine> {
  let number = 0
  for await (const text of splitLines(path)) {
    number++
    let line: BundleLine
    try {
      line = decodeLine(text)
      // One text a line: a member that stands there twice could be read in two ways.
      if (encodeLine(line) !== `${text}\n`) throw new SyntaxError('a line that is not in its one form')
    } catch (cause) {
      throw new UnreadableBundleError(number, cause)
    }
    yield line
  }
}

async function* splitLines(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let pieces: string[] = []
  let length = 0
  let number = 1
  for await (const chunk of createReadStream(path)) {
    const parts = decode(decoder, chunk, number, true).split(LINE_FEED)
    for (const [index, part] of parts.entries()) {
      if (index > 0) {
        yield pieces.join('')
        pieces = []
        length = 0
        number++
      }
      pieces.push(part)
      length += part.length
      if (length > LONGEST_LINE) throw new UnreadableBundleError(number, new RangeError('a line without end'))
    }
  }
  const rest = decode(decoder, new Uint8Array(), number, false)
  if (length > 0 || rest !== '') {
    throw new UnreadableBundleError(number, new SyntaxError('the last line is cut'))
  }
}

function decode(
  decoder: InstanceType<typeof TextDecoder>,
  chunk: Uint8Array,
  line: number,
  stream: boolean,
): string {
  try {
    return decoder.decode(chunk, { stream })
  } catch (cause) {
    throw new UnreadableBundleError(line, cause)
  }
}
