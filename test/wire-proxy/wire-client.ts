import pg from 'pg'
import { startWireProxy, type WireProxy } from '../support/wire-proxy.ts'

/** A client through the proxy, and the proxy; both are closed afterwards. */
export async function withWire<T>(
  target: string,
  work: (client: pg.Client, proxy: WireProxy) => Promise<T>,
): Promise<T> {
  await using proxy = await startWireProxy({ target })
  const client = await connect(proxy.connectionString)
  try {
    return await work(client, proxy)
  } finally {
    client.end().catch(() => undefined)
  }
}

/** `pipeline`: it sends a statement without waiting for the answer to the one before. */
export async function connect(connectionString: string, pipeline = false): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, pipeline })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const query = (sql: string) => message('Q', Buffer.from(sql + '\0'))
const copyDone = message('c', Buffer.alloc(0))

/** What `pg` calls on the statement that runs. */
abstract class Statement implements pg.Submittable {
  readonly #result = Promise.withResolvers<string>()
  #tag = ''
  #error: Error | undefined

  /** The tag of the statement, such as `COPY 3`. */
  get done(): Promise<string> {
    return this.#result.promise
  }

  abstract submit(connection: pg.Connection): void

  handleCommandComplete(answer: { readonly text: string }): void {
    this.#tag = answer.text
  }

  handleError(error: Error): void {
    this.#error = error
    // After a lost connection no ReadyForQuery comes.
    this.#result.reject(error)
  }

  handleReadyForQuery(): void {
    if (this.#error === undefined) this.#result.resolve(this.#tag)
  }
}

/** COPY FROM STDIN. `ahead`: everything in one write, without waiting for CopyInResponse, as the library sends it. */
export class CopyIn extends Statement {
  readonly #sql: string
  readonly #rows: readonly Buffer[]
  readonly #ahead: boolean

  constructor(sql: string, rows: readonly Buffer[], ahead: boolean) {
    super()
    this.#sql = sql
    this.#rows = rows
    this.#ahead = ahead
  }

  submit(connection: pg.Connection): void {
    const data = this.#ahead ? this.#data() : []
    connection.stream.write(Buffer.concat([query(this.#sql), ...data]))
  }

  handleCopyInResponse(connection: pg.Connection): void {
    if (!this.#ahead) connection.stream.write(Buffer.concat(this.#data()))
  }

  #data(): readonly Buffer[] {
    return [...this.#rows.map(row => message('d', row)), copyDone]
  }
}

/** COPY TO STDOUT. */
export class CopyOut extends Statement {
  readonly chunks: Buffer[] = []
  readonly #sql: string

  constructor(sql: string) {
    super()
    this.#sql = sql
  }

  submit(connection: pg.Connection): void {
    connection.stream.write(query(this.#sql))
  }

  handleCopyData(data: { readonly chunk: Buffer }): void {
    this.chunks.push(Buffer.from(data.chunk))
  }
}
