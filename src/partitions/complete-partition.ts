import { TripwireStorageError } from '../errors.ts'
import { type BuildIndexOutcome, buildIndexConcurrently } from '../pg/build-index.ts'
import type { Database, QueryRunner } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { transactionWithLockTimeout } from '../pg/retry-lock.ts'

const ADD_TRIGGERS = `
  SELECT add_alert_triggers($1::regclass)`

/** Building an index in vain costs as much as building it. */
const FORGET_DUPLICATES_HOURS = 24

const KNOWS_DUPLICATES = `
  SELECT
  FROM duplicate_alert_partitions
  WHERE partition_name = $1
    AND found_at > now() - $2 * INTERVAL '1 hour'`

const REMEMBER_DUPLICATES = `
  INSERT INTO duplicate_alert_partitions (partition_name, found_at)
  VALUES ($1, now())
  ON CONFLICT (partition_name) DO UPDATE
  SET found_at = EXCLUDED.found_at`

const FORGET_DUPLICATES = `
  DELETE FROM duplicate_alert_partitions
  WHERE partition_name = $1`

/**
 * Gives a month that was made by hand what it lacks: the unique index that refuses resends, and the triggers. Writers go on;
 * for the triggers they wait no longer than the lock timeout. Where an alert stands in the month twice, the index is tried
 * again after a day, or once the duplicates were removed.
 * @throws TripwireStorageError DUPLICATE_ALERTS when an alert stands in it twice.
 */
export async function completePartition(db: Database, partition: string, signal: AbortSignal): Promise<void> {
  // First what matters most, and what no writer waits for.
  const outcome = await buildUniqueIndex(db, partition, signal)
  await transactionWithLockTimeout(
    db,
    transaction => transaction.query(ADD_TRIGGERS, [quoteIdentifier(partition)]),
    { signal },
  )
  if (outcome === 'duplicates') throw duplicateAlerts(partition)
}

async function buildUniqueIndex(
  db: Database,
  partition: string,
  signal: AbortSignal,
): Promise<BuildIndexOutcome> {
  const known = await db.query(KNOWS_DUPLICATES, [partition, FORGET_DUPLICATES_HOURS])
  if (known.rowCount > 0) return 'duplicates'
  const outcome = await buildIndexConcurrently(db.withSignal(signal), {
    name: storedOnceIndex(partition),
    table: partition,
    columns: 'alert_id, host_id',
    isUnique: true,
  })
  if (outcome === 'duplicates') await db.query(REMEMBER_DUPLICATES, [partition])
  return outcome
}

/** Lets the index of a month be tried again at once. */
export async function forgetDuplicates(db: QueryRunner, partition: string): Promise<void> {
  await db.query(FORGET_DUPLICATES, [partition])
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
