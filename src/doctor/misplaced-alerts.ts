import type { AlertPartition } from '../model/partition.ts'
import type { CheckContext } from './context.ts'
import { moveAlertsSql } from './move-alerts.ts'

/** Neither a month nor on its way to be one. */
export function isMisplaced({ state, isDefault, isMonth }: AlertPartition): boolean {
  return state === 'attached' && (isDefault || !isMonth)
}

/**
 * The SQL that moves what stands in the DEFAULT partition, and in partitions with other bounds than those of a month, into its
 * months: all at once, because each may hold alerts of a month that another stands in the way of.
 */
export async function moveMisplacedSql(context: CheckContext): Promise<string> {
  const { partitions } = await context.partitions()
  const misplaced = partitions.filter(isMisplaced)
  const tables = await context.partitionTables()
  const kindOf = (name: string) => tables.find(({ partition, isPart }) => partition === name && !isPart)?.kind
  return moveAlertsSql(
    misplaced.map(({ partition }) => ({ partition, kind: kindOf(partition) ?? 'table' })),
    await context.alertColumns(),
  )
}
