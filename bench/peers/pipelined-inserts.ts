import type { Connection, Submittable } from 'pg'
import type { BenchAlert } from '../support/bench-alert.ts'
import { connect } from '../support/connect.ts'
import type { Run } from '../support/measure.ts'
import { alertValues, INSERT_ONE_ALERT } from './alert-columns.ts'

const STATEMENT = 'pipelined_insert'

/**
 * What SendBatch of pgx does: a Bind and an Execute for each row, one Sync at the end. So a batch is one implicit transaction
 * and one round trip.
 *
 * The pipeline mode of the driver is something else: it sends a Sync with each statement, which commits each row.
 */
class PipelinedBatch implements Submittable {
  readonly done: Promise<void>
  readonly #alerts: readonly BenchAlert[]
  readonly #settle = Promise.withResolvers<void>()
  #inserted = 0

  constructor(alerts: readonly BenchAlert[]) {
    this.#alerts = alerts
    this.done = this.#settle.promise
  }

  submit(connection: Connection): void {
    // Corked: the messages of the batch leave in one write.
    connection.stream.cork()
    for (const alert of this.#alerts) {
      connection.bind({ statement: STATEMENT, values: alertValues(alert) }, true)
      connection.execute(null, true)
    }
    connection.sync()
    connection.stream.uncork()
  }

  handleCommandComplete(): void {
    this.#inserted++
  }

  handleReadyForQuery(): void {
    if (this.#inserted === this.#alerts.length) this.#settle.resolve()
    else this.#settle.reject(new Error(`${this.#inserted} of ${this.#alerts.length} rows were inserted`))
  }

  handleError(error: Error): void {
    this.#settle.reject(error)
  }
}

export async function openPipelinedInserts(
  connectionString: string,
  alerts: readonly BenchAlert[],
  batchSize: number,
): Promise<Run> {
  const client = await connect(connectionString)
  // PREPARE makes the same named statement as a Parse message.
  await client.query(`PREPARE ${STATEMENT} AS ${INSERT_ONE_ALERT}`)
  return {
    work: async () => {
      for (let start = 0; start < alerts.length; start += batchSize) {
        await client.query(new PipelinedBatch(alerts.slice(start, start + batchSize))).done
      }
    },
    close: () => client.end(),
  }
}
