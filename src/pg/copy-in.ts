import type { Connection, Submittable } from 'pg'

const MESSAGE_COPY_DATA = 0x64
const COPY_DONE = Uint8Array.of(0x63, 0, 0, 0, 4)

/**
 * COPY … FROM STDIN in one round trip.
 *
 * The statement, the data and the end are written at once, without waiting for CopyInResponse. That is within the protocol
 * (PostgreSQL manual, "COPY Operations"): when the statement fails, the server passes over the data that follows. As a
 * simple query it is a transaction of its own, committed before CommandComplete is sent.
 */
export class CopyIn implements Submittable {
  readonly done: Promise<void>
  /** Set by the driver where a statement has a time limit: it waits to be told of the end. */
  callback: ((error: Error | null) => void) | undefined
  readonly #sql: string
  readonly #data: Uint8Array
  readonly #settle = Promise.withResolvers<void>()

  /** `data` must not change until `done` is settled. */
  constructor(sql: string, data: Uint8Array) {
    this.#sql = sql
    this.#data = data
    this.done = this.#settle.promise
  }

  submit(connection: Connection): void {
    const head = Buffer.allocUnsafe(5)
    head.writeUInt8(MESSAGE_COPY_DATA)
    head.writeInt32BE(this.#data.length + 4, 1)
    connection.stream.cork()
    connection.query(this.#sql)
    connection.stream.write(head)
    connection.stream.write(this.#data)
    connection.stream.write(COPY_DONE)
    connection.stream.uncork()
  }

  /** Nothing to answer: the data is on its way already. */
  handleCopyInResponse(): void {}

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.callback?.(null)
    this.#settle.resolve()
  }

  handleError(error: Error): void {
    this.callback?.(error)
    this.#settle.reject(error)
  }
}
