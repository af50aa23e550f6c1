import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type pg from 'pg'
import type { Connection, Submittable } from 'pg'

/** Rows arrive one a message; the compression is called for so many bytes of them at once. */
const WRITE_BYTES = 262_144

/** What an operator would write who knows PostgreSQL: every row as JSON, in the order of the time. */
function copyRowsAsJson(table: string): string {
  return `
  COPY (
    SELECT row_to_json(rows)
    FROM ${table} AS rows
    ORDER BY received_at, alert_id
  ) TO STDOUT`
}

/** COPY … TO STDOUT into a stream, which may hold it up. */
export class CopyOut implements Submittable {
  readonly done: Promise<void>
  readonly #sql: string
  readonly #target: Writable
  readonly #settle = Promise.withResolvers<void>()
  #connection: Connection | undefined
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(sql: string, target: Writable) {
    this.#sql = sql
    this.#target = target
    this.done = this.#settle.promise
  }

  submit(connection: Connection): void {
    this.#connection = connection
    connection.query(this.#sql)
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    // A copy: the driver writes the next messages over it.
    this.#held.push(Buffer.from(chunk))
    this.#heldBytes += chunk.length
    if (this.#heldBytes >= WRITE_BYTES) this.#write()
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#target.write(Buffer.concat(this.#held))
    // Whoever ends the target now hears of no drain any more, and the connection would stay paused.
    this.#connection?.stream.resume()
    this.#settle.resolve()
  }

  handleError(error: Error): void {
    this.#settle.reject(error)
  }

  #write(): void {
    const stream = this.#connection?.stream
    const mayGoOn = this.#target.write(Buffer.concat(this.#held))
    this.#held = []
    this.#heldBytes = 0
    if (mayGoOn) return
    stream?.pause()
    this.#target.once('drain', () => stream?.resume())
  }
}

/** Writes a table into a gzip file, as fast as it goes. Nothing is verified, and the file is not synced. */
export async function copyTableToGzip(client: pg.Client, table: string, path: string): Promise<void> {
  const gzip = createGzip()
  const written = pipeline(gzip, createWriteStream(path, { flags: 'wx' }))
  // It ends only after the rows, and fails when the disk is full.
  await Promise.race([client.query(new CopyOut(copyRowsAsJson(table), gzip)).done, written])
  gzip.end()
  await written
}
