import { randomUUID } from 'node:crypto'
import { DatabaseError, InvalidInputError, TripwireStorageError } from '../errors.ts'
import { parseObject, parseText } from '../model/input.ts'
import type { Database, QueryRunner } from '../pg/database.ts'
import { transactionWithLockTimeout } from '../pg/retry-lock.ts'
import { SQLSTATE } from '../pg/sqlstate.ts'
import { withAbortReason } from './archive/abort-reason.ts'
import { requireSameContent } from './archive/archive-errors.ts'
import { requireRegistered, requireSameHosts } from './archive/archived-hosts.ts'
import { fillTable } from './archive/fill-table.ts'
import type { ArchiveManifest } from './archive/manifest.ts'
import { retryStep } from './archive/retry-statement.ts'
import { createTableLikeAlerts, renameTable } from './archive/table-like-alerts.ts'
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
 * the new table compared with it before it is attached. It is filled under a name of its own, in one transaction: a cut leaves
 * nothing. Readers and writers of `alerts` go on meanwhile, months are made and detached; should an alert make this month first,
 * the restore is refused.
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
    await requireNoMonth(db, archive.manifest)
    await forgetRestored(db, archive.manifest, signal)
    await db.transaction(async transaction => {
      await prepareTransaction(transaction)
      await requireRegistered(transaction, archive.manifest.hosts)
      const temporary = temporaryName(partition)
      const table = await createTableLikeAlerts(transaction, temporary)
      const within = `received_at >= '${from}' AND received_at < '${to}'`
      await transaction.runScript(`ALTER TABLE ${table} ADD CONSTRAINT ${BOUNDS} CHECK (${within})`)
      await fillTable(transaction, table, archive, { signal, onProgress })
      requireSameContent(partition, archive.manifest, await digestTable(transaction, table, { signal }))
      await requireSameHosts(transaction, table, archive.manifest.hosts)
      await transaction.query(COMPLETE_PARTITION, [table])
      const names = { from: temporary, to: partition }
      const attach = () => attachAsMonth(transaction, table, names, archive.manifest)
      await retryStep(transaction, attach, ATTACH_ATTEMPTS, signal)
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

const COMPLETE_PARTITION = `
  SELECT complete_alert_partition($1::regclass)`

/** The bounds as a constraint: with it, ATTACH need not look at the rows. */
const BOUNDS = 'restored_within_month'

/** A table or type of that name, or a partition that holds a part of the month. */
const IN_THE_WAY: ReadonlySet<string | undefined> = new Set([
  SQLSTATE.duplicateTable,
  SQLSTATE.uniqueViolation,
  SQLSTATE.invalidObjectDefinition,
])

/**
 * As long as the name of a month: the names that PostgreSQL makes out of it for indexes are cut to a length. Nobody else who
 * restores at this moment has the same.
 */
function temporaryName(partition: string): string {
  return `restoring_${randomUUID().replaceAll('-', '')}`.slice(0, partition.length)
}

const FIND_RESTORED = `
  SELECT
  FROM restored_alert_partitions
  WHERE partition_name = $1`

const FORGET_RESTORED = `
  DELETE FROM restored_alert_partitions
  WHERE partition_name = $1`

/**
 * Forgets that a month was restored that is not there any more. Should an alert make it before this restore can, it would be
 * taken for restored, and kept by every retention.
 */
async function forgetRestored(
  db: Database,
  manifest: ArchiveManifest,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { rowCount } = await db.query(FIND_RESTORED, [manifest.partition])
  if (rowCount === 0) return
  const forget = async (transaction: QueryRunner) => {
    // Nobody who restores it at this moment attaches it in between.
    await transaction.runScript('LOCK TABLE ONLY alerts IN SHARE UPDATE EXCLUSIVE MODE')
    await requireNoMonth(transaction, manifest)
    await transaction.query(FORGET_RESTORED, [manifest.partition])
  }
  await transactionWithLockTimeout(db, forget, { signal })
}

const RECORD_RESTORED = `
  INSERT INTO restored_alert_partitions (partition_name, content_sha256)
  VALUES ($1, decode($2, 'hex'))
  ON CONFLICT (partition_name) DO UPDATE
  SET
    content_sha256 = EXCLUDED.content_sha256,
    restored_at = EXCLUDED.restored_at`

/** How often the lock on `alerts` is tried for, with everything else done. */
const ATTACH_ATTEMPTS = 10

/** A process that stops in the midst of it would keep everybody else from making months. */
const LOCK_ALERTS = `
  SET LOCAL idle_in_transaction_session_timeout = '10s';
  LOCK TABLE ONLY alerts IN SHARE UPDATE EXCLUSIVE MODE`

/**
 * Makes the table the partition of its month. Only here is `alerts` locked, for a moment: against those who make or detach months.
 */
async function attachAsMonth(
  transaction: QueryRunner,
  table: string,
  names: { readonly from: string; readonly to: string },
  manifest: ArchiveManifest,
): Promise<void> {
  const { partition, contentSha256, from, to } = manifest
  await transaction.runScript(LOCK_ALERTS)
  await requireNoMonth(transaction, manifest)
  try {
    const month = await renameTable(transaction, table, names)
    await transaction.runScript(`
      ALTER TABLE alerts ATTACH PARTITION ${month} FOR VALUES FROM ('${from}') TO ('${to}');
      ALTER TABLE ${month} DROP CONSTRAINT ${BOUNDS}`)
  } catch (error) {
    if (!(error instanceof DatabaseError) || !IN_THE_WAY.has(error.sqlState)) throw error
    throw monthExists(partition, error.message, error)
  }
  // Once more: until the table was attached, nothing kept its hosts from being deleted.
  await requireRegistered(transaction, manifest.hosts)
  await transaction.query(RECORD_RESTORED, [partition, contentSha256])
}
