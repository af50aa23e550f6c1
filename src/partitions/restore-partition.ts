import { DatabaseError, InvalidInputError, TripwireStorageError } from '../errors.ts'
import { parseObject, parseText } from '../model/input.ts'
import type { Database, QueryRunner } from '../pg/database.ts'
import { SQLSTATE } from '../pg/sqlstate.ts'
import { withAbortReason } from './archive/abort-reason.ts'
import { requireSameContent } from './archive/archive-errors.ts'
import { requireRegistered, requireSameHosts } from './archive/archived-hosts.ts'
import { fillTable } from './archive/fill-table.ts'
import type { ArchiveManifest } from './archive/manifest.ts'
import { retryStatement } from './archive/retry-statement.ts'
import { digestTable } from './archive/table-lines.ts'
import { prepareTransaction } from './archive/transaction-settings.ts'
import { readArchive, verifyArchive } from './archive/verify-archive.ts'

export interface RestoreOptions {
  /** Looked at between two batches. */
  readonly signal?: AbortSignal | undefined
  /** Called after each batch with the number of alerts so far. */
  readonly onProgress?: ((rows: number) => void) | undefined
}

export interface RestoredPartition {
  readonly partition: string
  readonly from: string
  readonly to: string
  readonly rows: number
}

const LONGEST_PATH = 4096

/**
 * Brings a month back from its archive, as a partition with the same rows. The archive is verified before anything is written, and
 * the new table compared with it before it is attached. It is one transaction: a cut leaves nothing. Readers and writers of
 * `alerts` go on meanwhile; a detachment waits, as for any long query.
 * @throws InvalidInputError
 * @throws TripwireStorageError ARCHIVE_MISMATCH when the archive is not what its manifest says; ARCHIVE_FAILED when it cannot be
 *   read; MONTH_EXISTS when there is a partition or table of that month; UNKNOWN_HOST when alerts name hosts that are not
 *   registered. DatabaseError. The reason of the signal.
 */
export async function restorePartition(
  db: Database,
  manifestPath: string,
  options: RestoreOptions = {},
): Promise<RestoredPartition> {
  const path = parseText('manifestPath', manifestPath, LONGEST_PATH)
  const { signal, onProgress } = parseOptions(options)
  return withAbortReason(signal, async () => {
    const archive = await readArchive(path)
    await verifyArchive(archive, signal)
    const { partition, from, to, rows } = archive.manifest
    await db.transaction(async transaction => {
      await prepareTransaction(transaction, 'READ COMMITTED')
      await requireNoMonth(transaction, archive.manifest)
      await requireRegistered(transaction, archive.manifest.hosts)
      const table = await createTable(transaction, archive.manifest)
      await fillTable(transaction, table, archive, { signal, onProgress })
      requireSameContent(partition, archive.manifest, await digestTable(transaction, table, { signal }))
      await requireSameHosts(transaction, table, archive.manifest.hosts)
      await transaction.query(COMPLETE_PARTITION, [table])
      await attachAsMonth(transaction, table, archive.manifest, signal)
    })
    return { partition, from, to, rows }
  })
}

interface ParsedOptions {
  readonly signal: AbortSignal | undefined
  readonly onProgress: (rows: number) => void
}

function parseOptions(options: RestoreOptions): ParsedOptions {
  parseObject('options', options, ['signal', 'onProgress'] as const satisfies (keyof RestoreOptions)[])
  const { signal, onProgress = () => undefined } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidInputError('options.signal', signal, 'an AbortSignal')
  }
  if (typeof onProgress !== 'function')
    throw new InvalidInputError('options.onProgress', onProgress, 'a function')
  return { signal, onProgress }
}

/** By the day: also a partition with bounds of its own that lies within the month. */
const FIND_MONTH = `
  SELECT coalesce(
    (
      SELECT found::text
      FROM (
        SELECT find_alert_partition(moment) AS found
        FROM (
          SELECT generate_series($2::timestamptz, $3::timestamptz - INTERVAL '1 microsecond', INTERVAL '1 day')
          UNION ALL
          SELECT $3::timestamptz - INTERVAL '1 microsecond'
        ) AS moments (moment)
      ) AS partitions
      WHERE found IS NOT NULL
      LIMIT 1
    ),
    to_regclass($1)::text
  ) AS name`

async function requireNoMonth(db: QueryRunner, { partition, from, to }: ArchiveManifest): Promise<void> {
  const { rows } = await db.query<{ name: string | null }>(FIND_MONTH, [partition, from, to])
  const name = rows[0]?.name
  if (name) throw monthExists(partition, `the table ${name} is there`)
}

function monthExists(partition: string, reason: string, cause?: unknown): TripwireStorageError {
  return new TripwireStorageError('MONTH_EXISTS', `${partition} is not restored: ${reason}`, {
    cause,
    hint: 'detach or rename that table first; to add single alerts to a month that is there, use: tripwire-storage ingest',
  })
}

const NAME_TABLE = `
  SELECT format('%I.%I', pg_namespace.nspname, $1::text) AS name
  FROM pg_class
  JOIN pg_namespace
    ON pg_namespace.oid = pg_class.relnamespace
  WHERE pg_class.oid = 'alerts'::regclass`

const COMPLETE_PARTITION = `
  SELECT complete_alert_partition($1::regclass)`

/** The bounds as a constraint: with it, ATTACH need not look at the rows. */
const BOUNDS = 'restored_within_month'

/** SQLSTATEs of a table or type of that name that another transaction made just now. */
const NAME_TAKEN: ReadonlySet<string | undefined> = new Set([
  SQLSTATE.duplicateTable,
  SQLSTATE.uniqueViolation,
])

/** @returns its name as it must stand in SQL. */
async function createTable(
  transaction: QueryRunner,
  { partition, from, to }: ArchiveManifest,
): Promise<string> {
  const { rows } = await transaction.query<{ name: string }>(NAME_TABLE, [partition])
  const table = rows[0]?.name ?? partition
  try {
    await transaction.runScript(`
      CREATE TABLE ${table} (LIKE alerts INCLUDING ALL);
      ALTER TABLE ${table}
        ADD CONSTRAINT ${BOUNDS} CHECK (received_at >= '${from}' AND received_at < '${to}')`)
  } catch (error) {
    if (!(error instanceof DatabaseError) || !NAME_TAKEN.has(error.sqlState)) throw error
    throw monthExists(partition, error.message, error)
  }
  return table
}

/** How often the lock on `alerts` is tried for, with everything else done. */
const ATTACH_ATTEMPTS = 10

const RECORD_RESTORED = `
  INSERT INTO restored_alert_partitions (partition_name, content_sha256)
  VALUES ($1, decode($2, 'hex'))
  ON CONFLICT (partition_name) DO UPDATE
  SET
    content_sha256 = EXCLUDED.content_sha256,
    restored_at = EXCLUDED.restored_at`

async function attachAsMonth(
  transaction: QueryRunner,
  table: string,
  manifest: ArchiveManifest,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { partition, from, to, contentSha256, hosts } = manifest
  try {
    const attach = `ALTER TABLE alerts ATTACH PARTITION ${table} FOR VALUES FROM ('${from}') TO ('${to}')`
    await retryStatement(transaction, attach, ATTACH_ATTEMPTS, signal)
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState !== SQLSTATE.invalidObjectDefinition) throw error
    throw monthExists(partition, error.message, error)
  }
  // Once more: until the table was attached, nothing kept its hosts from being deleted.
  await requireRegistered(transaction, hosts)
  await transaction.runScript(`ALTER TABLE ${table} DROP CONSTRAINT ${BOUNDS}`)
  await transaction.query(RECORD_RESTORED, [partition, contentSha256])
}
