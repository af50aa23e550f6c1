import type { AlertPartition, DetailIndexMonths, DetailIndexReport } from '../model/partition.ts'
import { buildIndexConcurrently } from '../pg/build-index.ts'
import type { Database, QueryRunner } from '../pg/database.ts'
import { Actions } from './actions.ts'
import { listPartitions } from './list-partitions.ts'
import { withMaintenanceLock } from './maintenance-lock.ts'
import { serverNow } from './server-now.ts'

/** An alert that was received in the last moment of a month may be stored a while later. */
const CLOSED_AFTER_MS = 86_400_000

/**
 * After so many bytes of months, with their indexes, a run leaves the rest to the next: a database that was adopted has many, and
 * nothing else is maintained meanwhile.
 */
const ENOUGH_BYTES = 1_073_741_824

/** Not what belongs to others. */
const KEEP_UNINDEXED = `
  SELECT month AS partition
  FROM unnest($1::text[]) AS month
  JOIN pg_class
    ON pg_class.oid = to_regclass(quote_ident(month))
  JOIN pg_attribute
    ON attrelid = pg_class.oid
    AND attname = 'event_detail'
  WHERE pg_has_role(relowner, 'USAGE')
    AND NOT EXISTS (
      SELECT
      FROM pg_index
      JOIN pg_class AS index
        ON index.oid = indexrelid
      JOIN pg_am
        ON pg_am.oid = index.relam
      WHERE indrelid = pg_class.oid
        AND amname = 'gin'
        AND indkey[0] = attnum
        AND indpred IS NULL
        AND indisvalid
    )`

/**
 * Builds the indexes of details that are missing, of the newest months first. What is cut is built anew by the next run. The caller
 * holds the maintenance lock.
 */
export async function indexDetails(
  db: Database,
  months: DetailIndexMonths,
  actions: Actions,
  enoughBytes = ENOUGH_BYTES,
): Promise<readonly string[]> {
  const indexed: string[] = []
  await actions.run('index', null, async () => {
    const unindexed = await listUnindexed(db, months)
    let bytes = 0
    for (const month of unindexed) {
      if (bytes >= enoughBytes) break
      bytes += month.bytes
      const isDone = await actions.run('index', month.partition, signal =>
        buildDetailIndex(db.withSignal(signal), month.partition),
      )
      if (isDone) indexed.push(month.partition)
    }
  })
  return indexed
}

/** The same once, without the rest of the maintenance, and all of them. */
export async function indexDetailsOnce(
  db: Database,
  months: DetailIndexMonths,
  signal: AbortSignal,
): Promise<DetailIndexReport> {
  const report = await withMaintenanceLock(db, async lock => {
    const actions = new Actions(lock, signal)
    const indexed = await indexDetails(db, months, actions, Number.POSITIVE_INFINITY)
    return { skipped: false, indexed, failures: actions.failures }
  })
  return report ?? { skipped: true, indexed: [], failures: [] }
}

async function listUnindexed(db: Database, months: DetailIndexMonths): Promise<readonly AlertPartition[]> {
  const closedBefore = new Date(Date.parse(await serverNow(db)) - CLOSED_AFTER_MS).toISOString()
  const candidates = (await listPartitions(db))
    .filter(({ state, isTable, isDefault }) => state === 'attached' && isTable && !isDefault)
    .filter(({ to }) => months === 'every' || (months === 'closed' && to !== null && to <= closedBefore))
    .toReversed()
  const { rows } = await db.query<{ partition: string }>(KEEP_UNINDEXED, [
    candidates.map(({ partition }) => partition),
  ])
  const unindexed = new Set(rows.map(row => row.partition))
  return candidates.filter(({ partition }) => unindexed.has(partition))
}

async function buildDetailIndex(db: QueryRunner, partition: string): Promise<void> {
  await buildIndexConcurrently(db, {
    name: `${partition}_detail`,
    table: partition,
    columns: 'event_detail',
    isUnique: false,
    method: { name: 'gin', operatorClass: 'jsonb_path_ops' },
  })
}
