import { createGunzip } from 'node:zlib'

/** RFC 1952, section 2.3.1. */
const GZIP_MAGIC = [0x1f, 0x8b] as const

/** Compressed bytes handed to zlib at once. 16 KiB expand to at most 16 MiB, which is what is held in memory. */
const PIECE_BYTES = 16_384

/** Compressed data that is damaged, or ends too early. */
export class GzipError extends Error {
  override readonly name = 'GzipError'
}

/**
 * Decompresses bytes that begin with gzip's magic number, also several members one after the other, and passes on
 * anything else unchanged.
 * @throws GzipError when the compressed data is damaged or ends too early. What came before an early end is delivered
 * first. Before damage the last 16 KiB may be missing, or be garbled: the checksum stands at the end of the data.
 */
export async function* gunzipIfCompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let decoder: GzipDecoder | undefined
  try {
    for await (const { bytes, isFirst } of withFirstJoined(source)) {
      if (isFirst && hasMagicNumber(bytes)) decoder = new GzipDecoder()
      if (decoder === undefined) yield bytes
      else yield* decoder.decode(bytes)
    }
    if (decoder !== undefined) yield* decoder.finish()
  } finally {
    decoder?.destroy()
  }
}

/** The chunks of a source, the first of them long enough to hold the magic number if the source is. */
async function* withFirstJoined(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ bytes: Uint8Array; isFirst: boolean }> {
  let head: Uint8Array | undefined = new Uint8Array()
  for await (const chunk of source) {
    if (head === undefined) {
      yield { bytes: chunk, isFirst: false }
      continue
    }
    head = Buffer.concat([head, chunk])
    if (head.length < GZIP_MAGIC.length) continue
    yield { bytes: head, isFirst: true }
    head = undefined
  }
  if (head !== undefined && head.length > 0) yield { bytes: head, isFirst: true }
}

function hasMagicNumber(bytes: Uint8Array): boolean {
  return GZIP_MAGIC.every((byte, index) => bytes[index] === byte)
}

/**
 * zlib's stream, driven one piece at a time: nothing runs ahead of the reader, and output that came before an error is
 * not dropped with it, as piping into the stream would.
 */
class GzipDecoder {
  readonly #stream = createGunzip()
  #produced: Uint8Array[] = []
  #pushed = 0
  #ended = false

  constructor() {
    this.#stream.on('data', (bytes: Buffer) => this.#produced.push(bytes))
    this.#stream.on('end', () => {
      this.#ended = true
    })
    // Each step listens for its own error; this listener keeps one that comes later from being thrown unheard.
    this.#stream.on('error', () => {})
  }

  async *decode(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
      const piece = bytes.subarray(start, start + PIECE_BYTES)
      if (this.#ended) {
        refuseTrailing(piece)
        continue
      }
      this.#pushed += piece.length
      yield* this.#step(done => this.#stream.write(piece, done))
      // zlib stops after the last member when zeros follow, which tape archives are padded with.
      const left = this.#pushed - this.#stream.bytesWritten
      if (this.#ended) refuseTrailing(piece.subarray(piece.length - left))
    }
  }

  async *finish(): AsyncGenerator<Uint8Array> {
    // `end` only now: with input still under way, zlib drops the output before an early end.
    if (!this.#ended) yield* this.#step(() => this.#stream.end())
  }

  destroy(): void {
    this.#stream.destroy()
  }

  /** Runs one action of the stream until it is done, ends or fails; yields what it produced, then throws if it failed. */
  async *#step(action: (done: (error?: Error | null) => void) => void): AsyncGenerator<Uint8Array> {
    const failure = await new Promise<Error | undefined>(resolve => {
      const settle = (error?: Error | null) => {
        this.#stream.off('end', settle).off('error', settle)
        resolve(error ?? undefined)
      }
      this.#stream.on('end', settle).on('error', settle)
      action(settle)
    })
    yield* this.#produced.splice(0)
    if (failure !== undefined) throw new GzipError(failure.message, { cause: failure })
  }
}

function refuseTrailing(bytes: Uint8Array): void {
  if (bytes.some(byte => byte !== 0)) throw new GzipError('data that is not gzip follows the compressed data')
}
