import type { QueryRunner } from '../../pg/database.ts'

/** Lists that belong together, as PostgreSQL writes arrays. */
export interface ClosedPartitions {
  readonly partitionIds: string
  /** The transactions that attached them. */
  readonly attachedBy: string
}

/** Where no hour is summed. */
export const NO_CLOSED_PARTITIONS: ClosedPartitions = { partitionIds: '{}', attachedBy: '{}' }

const LIST_CLOSED_PARTITIONS = `
  SELECT
    coalesce(array_agg(partition_id), '{}')::text AS "partitionIds",
    coalesce(array_agg(attached_by), '{}')::text AS "attachedBy"
  FROM (
    SELECT DISTINCT
      partition_id,
      attached_by
    FROM rolled_alert_hours
    WHERE hour >= $1::timestamptz
      AND hour < $2::timestamptz
  ) AS closed`

/**
 * The partitions of which hours in a span were closed, each as it was attached. The next statement of the transaction may sum hours of these alone: it
 * is planned later, so it reads them. One that is attached while that statement waits for its locks is in its snapshot and not in its plan.
 */
export async function listClosedPartitions(
  transaction: QueryRunner,
  from: string,
  to: string,
): Promise<ClosedPartitions> {
  const { rows } = await transaction.query<ClosedPartitions>(LIST_CLOSED_PARTITIONS, [from, to])
  return rows[0] ?? NO_CLOSED_PARTITIONS
}
