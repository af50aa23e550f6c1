import type pg from 'pg'
import type { Connection, Submittable } from 'pg'
import type { BenchAlert } from '../support/bench-alert.ts'
import { ALERT_COLUMNS } from './alert-columns.ts'
import { COPY_HEADER, COPY_TRAILER, encodeCopyRows } from './copy-rows.ts'

const COPY_ALERTS = `COPY alerts (${ALERT_COLUMNS}) FROM STDIN (FORMAT binary)`
const MESSAGE_COPY_DATA = 0x64
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4])

/** COPY … FROM STDIN in one round trip: the statement, the data and the end leave in one write. */
class CopyIn implements Submittable {
  readonly done: Promise<void>
  readonly #rows: Buffer
  readonly #settle = Promise.withResolvers<void>()

  constructor(rows: Buffer) {
    this.#rows = rows
    this.done = this.#settle.promise
  }

  submit(connection: Connection): void {
    const data = [COPY_HEADER, this.#rows, COPY_TRAILER]
    const head = Buffer.allocUnsafe(5)
    head.writeUInt8(MESSAGE_COPY_DATA)
    head.writeInt32BE(4 + data.reduce((sum, part) => sum + part.length, 0), 1)
    connection.stream.cork()
    connection.query(COPY_ALERTS)
    for (const part of [head, ...data, COPY_DONE]) connection.stream.write(part)
    connection.stream.uncork()
  }

  /** Nothing to answer: the data is on its way already. */
  handleCopyInResponse(): void {}

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#settle.resolve()
  }

  handleError(error: Error): void {
    this.#settle.reject(error)
  }
}

/** Stores rows that are encoded already, in one transaction. */
export async function copyRows(client: pg.Client, rows: Buffer): Promise<void> {
  await client.query(new CopyIn(rows)).done
}

/** Stores alerts in one transaction. */
export async function copyAlerts(client: pg.Client, alerts: readonly BenchAlert[]): Promise<void> {
  await copyRows(client, encodeCopyRows(alerts))
}
