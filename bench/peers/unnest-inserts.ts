import type { BenchAlert } from '../support/bench-alert.ts'
import { connect } from '../support/connect.ts'
import type { Run } from '../support/measure.ts'
import { ALERT_COLUMNS } from './alert-columns.ts'

const INSERT_ARRAYS = `
  INSERT INTO alerts (${ALERT_COLUMNS})
  SELECT *
  FROM unnest(
    $1::uuid[], $2::uuid[], $3::timestamptz[], $4::tripwire_type[], $5::text[], $6::jsonb[], $7::severity_level[]
  )`

/** Many rows in one statement: every column is one array. */
export async function openUnnestInserts(
  connectionString: string,
  alerts: readonly BenchAlert[],
  batchSize: number,
): Promise<Run> {
  const client = await connect(connectionString)
  return {
    work: async () => {
      for (let start = 0; start < alerts.length; start += batchSize) {
        const batch = alerts.slice(start, start + batchSize)
        await client.query({ name: 'insert_arrays', text: INSERT_ARRAYS, values: toColumns(batch) })
      }
    },
    close: () => client.end(),
  }
}

function toColumns(alerts: readonly BenchAlert[]): string[][] {
  return [
    alerts.map(alert => alert.alertId),
    alerts.map(alert => alert.hostId),
    alerts.map(alert => alert.timestamp.toISOString()),
    alerts.map(alert => alert.tripwireType),
    alerts.map(alert => alert.ruleName),
    alerts.map(alert => alert.eventDetail.text),
    alerts.map(alert => alert.severity),
  ]
}
