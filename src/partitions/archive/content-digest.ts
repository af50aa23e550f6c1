import { createHash } from 'node:crypto'

/** What an archive holds, or a table would give: lines of JSON, each with its line feed. */
export interface Content {
  readonly rows: number
  readonly contentBytes: number
  /** SHA-256 over all of it, in hexadecimal. */
  readonly contentSha256: string
}

const LINE_FEED = 0x0a

/** Counts and digests content as it passes. */
export class ContentDigest {
  readonly #hash = createHash('sha256')
  #rows = 0
  #bytes = 0

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#bytes += bytes.length
    for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1)) this.#rows++
  }

  /** Ends it: nothing can be added any more. */
  finish(): Content {
    return { rows: this.#rows, contentBytes: this.#bytes, contentSha256: this.#hash.digest('hex') }
  }
}
