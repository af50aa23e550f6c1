import type { DeduplicatedPartition } from '../model/partition.ts'
import type { QueryRunner } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { integerFromRow } from '../pg/row-values.ts'
import { copiesWithin, removeCopiesFrom } from './remove-copies.ts'

/**
 * Where an alert stands in a partition twice, keeps the first that was received. A copy with the same content is removed; one
 * with other content becomes a dead letter, as the ingest would have made it. No lock: alerts are not changed once they are
 * written, and a copy that arrives meanwhile is found when the unique index is built.
 */
export async function removeDuplicates(db: QueryRunner, partition: string): Promise<DeduplicatedPartition> {
  const table = quoteIdentifier(partition)
  const { rows } = await db.query<{ removed: string; deadLettered: string }>(
    removeCopiesFrom(table, copiesWithin(table)),
  )
  return {
    partition,
    removed: integerFromRow('removed', rows[0]?.removed ?? '0'),
    deadLettered: integerFromRow('deadLettered', rows[0]?.deadLettered ?? '0'),
  }
}
