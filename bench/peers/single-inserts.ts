import type pg from 'pg'
import type { BenchAlert } from '../support/bench-alert.ts'
import { connect } from '../support/connect.ts'
import type { Run } from '../support/measure.ts'
import { alertValues, INSERT_ONE_ALERT } from './alert-columns.ts'

/** One row, one statement, one transaction, awaited. Prepared, so that the server parses it once a connection. */
export async function insertOne(client: pg.Client, alert: BenchAlert): Promise<void> {
  await client.query({ name: 'insert_one_alert', text: INSERT_ONE_ALERT, values: alertValues(alert) })
}

export async function openSingleInserts(
  connectionString: string,
  alerts: readonly BenchAlert[],
): Promise<Run> {
  const client = await connect(connectionString)
  return {
    work: async () => {
      for (const alert of alerts) await insertOne(client, alert)
    },
    close: () => client.end(),
  }
}
