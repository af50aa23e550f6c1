import pg from 'pg'
import type { TestDatabase } from '../support/test-database.ts'

/** COPY … FROM STDIN in text form, as psql does it. */
export async function copyFrom(database: TestDatabase, sql: string, lines: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  try {
    await client.query(new TextCopy(sql, lines)).done
  } finally {
    await client.end()
  }
}

class TextCopy implements pg.Submittable {
  readonly done: Promise<void>
  readonly #sql: string
  readonly #text: string
  readonly #settle = Promise.withResolvers<void>()

  constructor(sql: string, lines: readonly string[]) {
    this.#sql = sql
    this.#text = lines.map(line => `${line}\n`).join('')
    this.done = this.#settle.promise
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#sql)
  }

  handleCopyInResponse(connection: pg.Connection & CopyConnection): void {
    connection.sendCopyFromChunk(Buffer.from(this.#text))
    connection.endCopyFrom()
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#settle.resolve()
  }

  handleError(error: Error): void {
    this.#settle.reject(error)
  }
}

/** What the driver's connection can do beyond its types. */
interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}
