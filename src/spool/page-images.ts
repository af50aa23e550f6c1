/** The pages of a database and of its log, as far as they can be read, without SQLite. Holds a few pages in memory. */
import { closeSync, existsSync, fstatSync, openSync } from 'node:fs'
import { PAGE_BYTES } from './table-page.ts'
import { readFully, readWal, type WalFrame } from './wal-frames.ts'

export class PageImages implements Disposable {
  readonly #database: number | undefined
  readonly #wal: number | undefined
  readonly #frames: readonly WalFrame[]
  /** Where the last version of a page stands in the log. */
  readonly #newest: ReadonlyMap<number, number>

  /** @param frames those that count. Defaults to all of the log. */
  constructor(databasePath: string, walPath: string, frames: readonly WalFrame[] = readWal(walPath).frames) {
    this.#frames = frames
    this.#newest = new Map(this.#frames.map(frame => [frame.pageNumber, frame.offset]))
    this.#database = existsSync(databasePath) ? openSync(databasePath, 'r') : undefined
    this.#wal = existsSync(walPath) ? openSync(walPath, 'r') : undefined
  }

  /** Every version of every page: with a damaged log it is not known which one counts. */
  *all(): Generator<Buffer> {
    if (this.#database !== undefined) {
      const end = fstatSync(this.#database).size
      for (let offset = 0; offset + PAGE_BYTES <= end; offset += PAGE_BYTES) {
        const page = readPage(this.#database, offset)
        if (page !== undefined) yield page
      }
    }
    if (this.#wal === undefined) return
    for (const { offset } of this.#frames) {
      const page = readPage(this.#wal, offset)
      if (page !== undefined) yield page
    }
  }

  /** How many pages the file has. */
  get filePages(): number {
    return this.#database === undefined ? 0 : Math.floor(fstatSync(this.#database).size / PAGE_BYTES)
  }

  /** The newest version of a page. */
  find(pageNumber: number): Buffer | undefined {
    const offset = this.#newest.get(pageNumber)
    if (offset !== undefined && this.#wal !== undefined) return readPage(this.#wal, offset)
    return this.#database === undefined ? undefined : readPage(this.#database, (pageNumber - 1) * PAGE_BYTES)
  }

  [Symbol.dispose](): void {
    if (this.#database !== undefined) closeSync(this.#database)
    if (this.#wal !== undefined) closeSync(this.#wal)
  }
}

function readPage(descriptor: number, offset: number): Buffer | undefined {
  const page = Buffer.allocUnsafe(PAGE_BYTES)
  return readFully(descriptor, page, offset) ? page : undefined
}
