import { DatabaseError } from '../errors.ts'
import type { AlertPartition, DetailIndexMonths, DetailIndexReport } from '../model/partition.ts'
import { buildIndexConcurrently } from '../pg/build-index.ts'
import type { Database, QueryRunner } from '../pg/database.ts'
import { joinName } from '../pg/identifier.ts'
import { SQLSTATE } from '../pg/sqlstate.ts'
import { Actions } from './actions.ts'
import { listPartitions } from './list-partitions.ts'
import { recordMaintenance } from './record-maintenance.ts'
import { serverNow } from './server-now.ts'

/** An alert that was received in the last moment of a month may be stored a while later. */
const CLOSED_AFTER_MS = 86_400_000

/** After so many bytes of months, with their indexes, a run in the background leaves the rest to the next. */
export const ENOUGH_BYTES = 1_073_741_824

/** Another session builds an index there, or the month went away. */
const PASSING: ReadonlySet<string> = new Set([SQLSTATE.lockNotAvailable, SQLSTATE.undefinedTable])

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

export interface IndexDetailsOptions {
  readonly months: DetailIndexMonths
  readonly signal: AbortSignal
  /** Defaults to all there are. */
  readonly enoughBytes?: number
}

/**
 * Builds the indexes of details that are missing, of the newest months first. What is cut is built anew by the next run. Any number may
 * do it at once, beside a maintenance as well: a build waits for transactions that are open anywhere in the database, and
 * nothing else should wait for that.
 * @throws the signal's reason.
 */
export async function indexDetails(
  db: Database,
  { months, signal, enoughBytes = Number.POSITIVE_INFINITY }: IndexDetailsOptions,
): Promise<DetailIndexReport> {
  const actions = new Actions(undefined, signal)
  const indexed: string[] = []
  await actions.run('index', null, async () => {
    let bytes = 0
    for (const month of await listUnindexed(db, months)) {
      if (bytes >= enoughBytes) break
      await actions.run('index', month.partition, async () => {
        if (!(await buildDetailIndex(db.withSignal(signal), month.partition))) return
        indexed.push(month.partition)
        bytes += month.bytes
      })
    }
  })
  const { failures } = actions
  await recordMaintenance(db, 'index_details', failures, { months })
  return { indexed, failures }
}

async function listUnindexed(db: Database, months: DetailIndexMonths): Promise<readonly AlertPartition[]> {
  const closedBefore = Date.parse(await serverNow(db)) - CLOSED_AFTER_MS
  const candidates = (await listPartitions(db))
    .filter(({ state, isTable, isDefault }) => state === 'attached' && isTable && !isDefault)
    .filter(({ to }) => months === 'every' || (to !== null && Date.parse(to) <= closedBefore))
    .toReversed()
  const { rows } = await db.query<{ partition: string }>(KEEP_UNINDEXED, [
    candidates.map(({ partition }) => partition),
  ])
  const unindexed = new Set(rows.map(row => row.partition))
  return candidates.filter(({ partition }) => unindexed.has(partition))
}

/** @returns whether it is there now; `false` while another session builds an index of this month, or when the month is gone. */
async function buildDetailIndex(db: QueryRunner, partition: string): Promise<boolean> {
  try {
    await buildIndexConcurrently(db, {
      name: joinName(partition, '', 'detail'),
      table: partition,
      columns: 'event_detail',
      isUnique: false,
      method: { name: 'gin', operatorClass: 'jsonb_path_ops' },
    })
    return true
  } catch (error) {
    if (error instanceof DatabaseError && PASSING.has(error.sqlState ?? '')) return false
    throw error
  }
}
