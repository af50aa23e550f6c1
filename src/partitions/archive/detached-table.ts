import { createHash } from 'node:crypto'
import type { TripwireStorageError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { archiveFailed } from './archive-errors.ts'
import { retryStatement } from './retry-statement.ts'

/** How often a lock on a detached table is tried for. An autovacuum may be in the way, which the server then ends. */
export const LOCK_ATTEMPTS = 3

interface TableRow {
  readonly name: string
  readonly is_table: boolean
  readonly is_partition: boolean
}

const FIND_TABLE = `
  SELECT
    format('%I.%I', pg_namespace.nspname, found.relname) AS name,
    found.relkind = 'r' AS is_table,
    found.relispartition AS is_partition
  FROM pg_class AS found
  JOIN pg_namespace
    ON pg_namespace.oid = found.relnamespace
  WHERE found.oid = to_regclass(quote_ident($1))`

/** What an archive would not hold, or not as it is. */
const FIND_OTHER_COLUMNS = `
  SELECT attname AS name
  FROM pg_attribute
  WHERE attrelid = to_regclass($1)
    AND attnum > 0
    AND NOT attisdropped
    AND (attname, atttypid) NOT IN (
      ('alert_id', 'uuid'::regtype),
      ('host_id', 'uuid'::regtype),
      ('timestamp', 'timestamptz'::regtype),
      ('tripwire_type', 'tripwire_type'::regtype),
      ('rule_name', 'text'::regtype),
      ('event_detail', 'jsonb'::regtype),
      ('severity', 'severity_level'::regtype),
      ('received_at', 'timestamptz'::regtype)
    )`

/**
 * Locks a table of alerts that is no partition any more, against its writers and others who archive it, until the transaction
 * ends.
 * @returns its name as it must stand in SQL, with the schema.
 * @throws TripwireStorageError ARCHIVE_FAILED when there is none, when it is a partition, and when it has columns that an
 *   archive does not hold.
 */
export async function lockDetachedTable(
  transaction: QueryRunner,
  table: string,
  signal?: AbortSignal,
): Promise<string> {
  const { name } = await findTable(transaction, table)
  await retryStatement(transaction, `LOCK TABLE ${name} IN SHARE ROW EXCLUSIVE MODE`, LOCK_ATTEMPTS, signal)
  const locked = await findTable(transaction, table)
  if (locked.name !== name) throw noSuchTable(table)
  if (locked.is_partition) {
    throw archiveFailed(
      `${table} is a partition of alerts`,
      'only a table that is detached is archived and dropped',
    )
  }
  await requireKnownColumns(transaction, name, table)
  return name
}

/**
 * @param name as it stands in SQL.
 * @param table as it stands in the catalogue, for the message.
 * @throws TripwireStorageError ARCHIVE_FAILED when it has columns that an archive does not hold.
 */
export async function requireKnownColumns(db: QueryRunner, name: string, table: string): Promise<void> {
  const { rows } = await db.query<{ name: string }>(FIND_OTHER_COLUMNS, [name])
  const [other] = rows
  if (!other) return
  throw archiveFailed(
    `${table} has a column ${other.name} that an archive does not hold`,
    'keep the table, or take the column away',
  )
}

async function findTable(transaction: QueryRunner, table: string): Promise<TableRow> {
  const { rows } = await transaction.query<TableRow>(FIND_TABLE, [table])
  const [found] = rows
  if (!found?.is_table) throw noSuchTable(table)
  return found
}

export function noSuchTable(table: string): TripwireStorageError {
  return archiveFailed(`there is no table ${table}`)
}

/** Who may ask for it is up to the operator. */
const MAY_IDENTIFY_CLUSTER = `
  SELECT has_function_privilege('pg_control_system()', 'EXECUTE') AS may`

const IDENTIFY_CLUSTER = `
  SELECT system_identifier::text AS id
  FROM pg_control_system()`

const IDENTIFY_TABLE = `
  SELECT concat_ws('/', pg_database.oid, datname, $1::regclass::oid) AS id
  FROM pg_database
  WHERE datname = current_database()`

/**
 * A name for a table that tells it from those of other schemas, databases and servers, as 16 hexadecimal digits. Where the
 * server does not tell which it is, two servers may give the same.
 * @param name as it stands in SQL.
 */
export async function identifyTable(db: QueryRunner, name: string): Promise<string> {
  const { rows } = await db.query<{ may: boolean }>(MAY_IDENTIFY_CLUSTER)
  const cluster = rows[0]?.may ? await db.query<{ id: string }>(IDENTIFY_CLUSTER) : undefined
  const table = await db.query<{ id: string }>(IDENTIFY_TABLE, [name])
  const ids = [cluster, table].map(result => result?.rows[0]?.id ?? '')
  return createHash('sha256').update(ids.join('/')).digest('hex').slice(0, 16)
}
