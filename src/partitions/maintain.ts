import type { MaintenanceReport, RetentionReport } from '../model/partition.ts'
import type { Database } from '../pg/database.ts'
import { Actions } from './actions.ts'
import { ensurePartitions } from './ensure-partitions.ts'
import { horizonOf } from './horizon.ts'
import { listPartitions } from './list-partitions.ts'
import { withMaintenanceLock } from './maintenance-lock.ts'
import { completeIncomplete, finalizePending } from './mend-partitions.ts'
import { recordMaintenance } from './record-maintenance.ts'
import { applyRetention } from './retention/apply-retention.ts'
import type { RetentionPolicy } from './retention/retention-policy.ts'
import { serverNow } from './server-now.ts'

export interface MaintainOptions {
  readonly monthsAhead: number
  readonly retention: RetentionPolicy | undefined
  readonly schemaVersion: number
  readonly signal: AbortSignal
  /** Counts the alerts of hours that are over. */
  readonly rollUpAlerts: () => Promise<void>
  /** Removes from the journal of alerts what no tail may ask for any more. */
  readonly pruneJournal: () => Promise<void>
}

const SKIPPED_RETENTION: RetentionReport = { skipped: true, retired: [], failures: [] }
const SKIPPED = { ...SKIPPED_RETENTION, made: [], finalized: [], completed: [] }

/**
 * Makes the months ahead, finishes detachments that were cut, completes months that were made by hand, applies the retention, counts
 * alerts and prunes their journal, each for itself. Does nothing while another maintainer is at work.
 * @throws TripwireStorageError when the database cannot be asked, and the signal's reason.
 */
export async function maintain(db: Database, options: MaintainOptions): Promise<MaintenanceReport> {
  const report = await withMaintenanceLock(db, async lock => {
    const actions = new Actions(lock, options.signal)
    const made = await makeMonths(db, options.monthsAhead, actions)
    const finalized = await finalizePending(db, actions)
    const completed = await completeIncomplete(db, actions)
    const retired = options.retention
      ? await applyRetention(db, options.retention, options.schemaVersion, actions)
      : []
    await actions.run('count', null, options.rollUpAlerts)
    await actions.run('prune', null, options.pruneJournal)
    const { failures } = actions
    await recordMaintenance(db, 'maintenance', failures, { monthsAhead: options.monthsAhead })
    return { skipped: false, made, finalized, completed, retired, failures }
  })
  const horizon = horizonOf(await listPartitions(db), await serverNow(db))
  return { ...(report ?? SKIPPED), horizon }
}

/** Applies a retention once, without the rest of the maintenance. Detachments that were cut are finished first. */
export async function retainOnce(
  db: Database,
  policy: RetentionPolicy,
  { schemaVersion, signal }: Pick<MaintainOptions, 'schemaVersion' | 'signal'>,
): Promise<RetentionReport> {
  const report = await withMaintenanceLock(db, async lock => {
    const actions = new Actions(lock, signal)
    await finalizePending(db, actions)
    const retired = await applyRetention(db, policy, schemaVersion, actions)
    return { skipped: false, retired, failures: actions.failures }
  })
  return report ?? SKIPPED_RETENTION
}

async function makeMonths(db: Database, monthsAhead: number, actions: Actions): Promise<readonly string[]> {
  const made: string[] = []
  await actions.run('ensure', null, async () => {
    const { ensured, failures } = await ensurePartitions(db, monthsAhead)
    made.push(...ensured.filter(month => month.made).map(({ partition }) => partition))
    actions.failures.push(...failures)
  })
  return made
}
