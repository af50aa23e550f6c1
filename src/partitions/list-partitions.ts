import type { AlertPartition } from '../model/partition.ts'
import type { QueryRunner } from '../pg/database.ts'
import { integerFromRow, selectTimestamp, timestampFromRow } from '../pg/row-values.ts'

interface PartitionRow {
  readonly partition_name: string
  readonly state: AlertPartition['state']
  readonly is_default: boolean
  readonly is_table: boolean
  readonly range_from: string | null
  readonly range_to: string | null
  readonly is_month: boolean
  readonly is_complete: boolean
  readonly index_count: number
  readonly row_estimate: string
  readonly total_bytes: string
  readonly restored_at: string | null
}

const LIST_PARTITIONS = `
  SELECT
    partition_name,
    state,
    is_default,
    is_table,
    ${selectTimestamp('range_from')},
    ${selectTimestamp('range_to')},
    is_month,
    is_complete,
    index_count,
    row_estimate,
    total_bytes,
    ${selectTimestamp('restored_at')}
  FROM list_alert_partitions()`

/** Everything that holds alerts, oldest first, the DEFAULT partition last. */
export async function listPartitions(db: QueryRunner): Promise<readonly AlertPartition[]> {
  const { rows } = await db.query<PartitionRow>(LIST_PARTITIONS)
  return rows.map(row => ({
    partition: row.partition_name,
    state: row.state,
    isDefault: row.is_default,
    isTable: row.is_table,
    from: boundFromRow(row.range_from),
    to: boundFromRow(row.range_to),
    isMonth: row.is_month,
    isComplete: row.is_complete,
    indexes: row.index_count,
    rows: integerFromRow('row_estimate', row.row_estimate),
    bytes: integerFromRow('total_bytes', row.total_bytes),
    restoredAt: row.restored_at === null ? null : timestampFromRow(row.restored_at),
  }))
}

/** MINVALUE and MAXVALUE are no moments. */
function boundFromRow(bound: string | null): string | null {
  const moment = bound === null ? null : timestampFromRow(bound)
  return moment?.endsWith('infinity') ? null : moment
}
