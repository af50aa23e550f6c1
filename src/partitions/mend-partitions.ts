import type { AlertPartition, DeduplicatedPartition, MendReport } from '../model/partition.ts'
import type { Database } from '../pg/database.ts'
import { Actions } from './actions.ts'
import { completePartition, forgetDuplicates } from './complete-partition.ts'
import { finalizeDetach } from './finalize-detach.ts'
import { listPartitions } from './list-partitions.ts'
import { withMaintenanceLock } from './maintenance-lock.ts'
import { removeDuplicates } from './remove-duplicates.ts'

/** Finishes the detachments that were cut half way. Returns the partitions. */
export function finalizePending(db: Database, actions: Actions): Promise<readonly string[]> {
  return forEachPartition(db, actions, 'finalize', isPending, finalizeDetach)
}

/** Gives months that were made by hand what they lack. Returns those that are complete now. */
export function completeIncomplete(db: Database, actions: Actions): Promise<readonly string[]> {
  return forEachPartition(db, actions, 'complete', isIncomplete, completePartition)
}

/** Both, and before the second, where asked for, the removal of duplicates, without which a month cannot be completed. */
export async function mendOnce(
  db: Database,
  options: { readonly removeDuplicates: boolean; readonly signal: AbortSignal },
): Promise<MendReport> {
  const report = await withMaintenanceLock(db, async lock => {
    const actions = new Actions(lock, options.signal)
    const deduplicated: DeduplicatedPartition[] = []
    const finalized = await finalizePending(db, actions)
    if (options.removeDuplicates) {
      await forEachPartition(db, actions, 'deduplicate', isIncomplete, async (_, partition, signal) => {
        const outcome = await removeDuplicates(db.withSignal(signal), partition)
        await forgetDuplicates(db, partition)
        if (outcome.removed > 0) deduplicated.push(outcome)
      })
    }
    const completed = await completeIncomplete(db, actions)
    return { skipped: false, finalized, deduplicated, completed, failures: actions.failures }
  })
  return report ?? { skipped: true, finalized: [], deduplicated: [], completed: [], failures: [] }
}

async function forEachPartition(
  db: Database,
  actions: Actions,
  action: 'finalize' | 'deduplicate' | 'complete',
  needsIt: (partition: AlertPartition) => boolean,
  work: (db: Database, partition: string, signal: AbortSignal) => Promise<void>,
): Promise<readonly string[]> {
  const done: string[] = []
  await actions.run(action, null, async signal => {
    for (const { partition } of (await listPartitions(db)).filter(needsIt)) {
      if (await actions.run(action, partition, () => work(db, partition, signal))) done.push(partition)
    }
  })
  return done
}

function isPending({ state }: AlertPartition): boolean {
  return state === 'detaching'
}

/** One that is partitioned itself, or foreign, cannot have what others lack. */
function isIncomplete({ state, isComplete, isTable }: AlertPartition): boolean {
  return state === 'attached' && isTable && !isComplete
}
