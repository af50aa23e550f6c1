import { TripwireStorageError } from '../errors.ts'
import { buildIndexConcurrently } from '../pg/build-index.ts'
import type { Database } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { transactionWithLockTimeout } from '../pg/retry-lock.ts'

const ADD_TRIGGERS = `
  SELECT add_alert_triggers($1::regclass)`

/**
 * Gives a month that was made by hand what it lacks: the triggers, and the unique index that refuses resends. Writers go on; for the
 * triggers they wait no longer than the lock timeout.
 * @throws TripwireStorageError DUPLICATE_ALERTS when an alert stands in it twice.
 */
export async function completePartition(db: Database, partition: string, signal: AbortSignal): Promise<void> {
  // First what matters most, and what no writer waits for.
  const outcome = await buildIndexConcurrently(db.withSignal(signal), {
    name: storedOnceIndex(partition),
    table: partition,
    columns: 'alert_id, host_id',
    isUnique: true,
  })
  await transactionWithLockTimeout(
    db,
    transaction => transaction.query(ADD_TRIGGERS, [quoteIdentifier(partition)]),
    signal,
  )
  if (outcome === 'duplicates') throw duplicateAlerts(partition)
}

/** As `complete_alert_partition` names it. */
function storedOnceIndex(partition: string): string {
  return `${partition}_stored_once`
}

function duplicateAlerts(partition: string): TripwireStorageError {
  return new TripwireStorageError(
    'DUPLICATE_ALERTS',
    `${partition} holds alerts twice, so it cannot get its unique index and does not refuse resends`,
    { hint: 'tripwire-storage partitions mend --remove-duplicates' },
  )
}
