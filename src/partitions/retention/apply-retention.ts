import type { DueMonth, RetiredMonth } from '../../model/partition.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import type { Actions } from '../actions.ts'
import { listPartitions } from '../list-partitions.ts'
import { recordMaintenance } from '../record-maintenance.ts'
import { serverNow } from '../server-now.ts'
import { planRetention } from './plan-retention.ts'
import type { RetentionPolicy } from './retention-policy.ts'
import { retireMonthInThread } from './retire-in-thread.ts'
import { retireMonth } from './retire-month.ts'
import { cancelRetirements } from './retirements.ts'

/** A month with fewer, indexes included, is in its archive before a thread has started. */
export const LEAST_BYTES_FOR_THREAD = 8_388_608

/** Which months a policy would take out now, oldest first. Changes nothing. */
export async function planDueMonths(db: QueryRunner, policy: RetentionPolicy): Promise<readonly DueMonth[]> {
  const due = planRetention(await listPartitions(db), policy, await serverNow(db))
  return due.map(({ partition, from, to, rows, bytes }) => ({ partition, from, to, rows, bytes }))
}

/** Takes out the months that are due. One that fails does not stop the others. The caller holds the maintenance lock. */
export async function applyRetention(
  db: Database,
  policy: RetentionPolicy,
  schemaVersion: number,
  actions: Actions,
): Promise<readonly RetiredMonth[]> {
  const { archiveDir, actor } = policy
  const failuresBefore = actions.failures.length
  const retired: RetiredMonth[] = []
  await actions.run('retire', null, async signal => {
    await cancelRetirements(db)
    const due = planRetention(await listPartitions(db), policy, await serverNow(db))
    for (const month of due) {
      if (month.state === 'detached' && archiveDir === undefined) continue
      await actions.run('retire', month.partition, async () => {
        const isSmall = archiveDir === undefined || month.bytes < LEAST_BYTES_FOR_THREAD
        const retire = isSmall ? retireMonth : retireMonthInThread
        retired.push(await retire(db, month, { archiveDir, actor, schemaVersion, signal }))
      })
    }
  })
  const { keepMonths, keepBytes } = policy
  await recordMaintenance(db, 'retention', actions.failures.slice(failuresBefore), {
    keepMonths,
    keepBytes,
    archiveDir,
  })
  return retired
}
