import { DatabaseError, TripwireStorageError } from '../errors.ts'
import type { QueryRunner } from './database.ts'
import { quoteIdentifier } from './identifier.ts'
import { SQLSTATE } from './sqlstate.ts'

/** How an index of one column is made, unless it is a B-tree. */
export interface IndexMethod {
  readonly name: 'gin'
  readonly operatorClass: string
}

/** Each try but the last met another session that built on the same table at the same moment. */
const MOST_TRIES = 10

export interface IndexDefinition {
  /** As it stands in the catalogue, without quotes. The index comes into the schema of its table. */
  readonly name: string
  /** As it stands in the catalogue, without quotes. */
  readonly table: string
  /** The schema of the table. Defaults to the first of the search_path that has such a table. */
  readonly schema?: string
  /** SQL: names with commas between, such as `alert_id, host_id`; no sort order and no operator class. */
  readonly columns: string
  readonly isUnique: boolean
  /** Defaults to a B-tree. */
  readonly method?: IndexMethod
  /** SQL: the condition of a partial index. */
  readonly where?: string
}

/**
 * - `built`: by this call.
 * - `present`: there is a valid one of that name already.
 * - `duplicates`: it is unique, and rows stand in its way. Nothing is left of the attempt.
 */
export type BuildIndexOutcome = 'built' | 'present' | 'duplicates'

interface IndexRow {
  readonly schema: string
  readonly isPresent: boolean
  /** Whether a build that was cut or failed left it behind. */
  readonly isLeftover: boolean
  readonly fits: boolean | null
  readonly isBuilding: boolean
}

/**
 * Whoever builds an index concurrently holds SHARE UPDATE EXCLUSIVE on its table from beginning to end; pg_locks and the
 * process id in the progress view can be read by every role.
 */
const READ_INDEX = `
  SELECT
    nspname AS schema,
    index_class.oid IS NOT NULL AS "isPresent",
    coalesce(indrelid = table_class.oid AND NOT indisvalid, false) AS "isLeftover",
    indrelid = table_class.oid
      AND index_class.relam = (SELECT oid FROM pg_am WHERE amname = $6)
      AND indisunique = $3
      AND (indpred IS NOT NULL) = $4
      AND indoption::int2[] <@ '{0}'
      AND (
        SELECT string_agg(pg_get_indexdef(indexrelid, position, false), ',' ORDER BY position)
        FROM generate_series(1, indnkeyatts) AS position
      ) = replace($5, ' ', '') AS fits,
    EXISTS (
      SELECT
      FROM pg_locks
      JOIN pg_stat_progress_create_index
        USING (pid)
      WHERE pg_locks.relation = table_class.oid
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND pg_locks.mode = 'ShareUpdateExclusiveLock'
        AND pg_locks.granted
    ) AS "isBuilding"
  FROM pg_class AS table_class
  JOIN pg_namespace
    ON pg_namespace.oid = table_class.relnamespace
  LEFT JOIN pg_class AS index_class
    ON index_class.relname = $2::name
    AND index_class.relnamespace = table_class.relnamespace
  LEFT JOIN pg_index
    ON indexrelid = index_class.oid
  WHERE table_class.oid = $1::regclass`

/**
 * Builds an index by CREATE INDEX CONCURRENTLY: readers and writers go on. Cut off at any moment and called again, it
 * finishes: what a killed build left behind (an invalid index of the same name) is dropped and built anew. Any number
 * may call it at once.
 *
 * It does not wait for a build that another session is at. That one may be waiting, in its turn, for a transaction of the
 * caller: for one that had a snapshot for an instant, until its end. The server sees only a half of such a deadlock. So the
 * caller has to end its transaction before it tries again.
 *
 * There is no lock_timeout. The statement takes SHARE UPDATE EXCLUSIVE only, which no reader or writer waits for, also not
 * behind its request; and it has to wait by nature: for the writers of the moment, and twice for transactions with an
 * older snapshot. A timeout would cut these waits as well, and leave an invalid index each time. It would also have to
 * be set on the session, because the statement cannot run in a transaction block.
 *
 * While a unique index is being built, and from then on, writers are refused duplicates already.
 * @param db not a transaction.
 * @throws TripwireStorageError ALREADY_EXISTS when something else has the name, QUERY_FAILED with SQLSTATE 55P03 while another
 *   session builds on the table, QUERY_FAILED, CONNECTION_FAILED.
 */
export async function buildIndexConcurrently(
  db: QueryRunner,
  index: IndexDefinition,
): Promise<BuildIndexOutcome> {
  for (let tries = 1; ; tries++) {
    const found = await readIndex(db, index)
    if (found.isPresent && !found.isLeftover) return presentOrRefused(index, found)
    if (found.isBuilding) throw buildingElsewhere(index)
    try {
      if (found.isLeftover) await dropIndex(db, index, found)
      await db.runScript(createIndexSql({ ...index, schema: found.schema }))
      return 'built'
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      if (error.sqlState === SQLSTATE.uniqueViolation) {
        await dropIndex(db, index, found)
        return 'duplicates'
      }
      if (!isMeeting(error) || tries >= MOST_TRIES) throw error
    }
  }
}

async function readIndex(db: QueryRunner, index: IndexDefinition): Promise<IndexRow> {
  const { rows } = await db.query<IndexRow>(READ_INDEX, [
    qualifiedTable(index),
    index.name,
    index.isUnique,
    index.where !== undefined,
    index.columns,
    index.method?.name ?? 'btree',
  ])
  const [row] = rows
  if (!row) throw new TripwireStorageError('QUERY_FAILED', `the table ${index.table} went away`)
  return row
}

function presentOrRefused(index: IndexDefinition, found: IndexRow): BuildIndexOutcome {
  if (found.fits) return 'present'
  throw new TripwireStorageError(
    'ALREADY_EXISTS',
    `${index.name} exists, but is not the ${index.isUnique ? 'unique ' : ''}index on ${index.table} (${index.columns})`,
    { hint: `look at it with: \\d ${index.name}, then drop or rename it` },
  )
}

function buildingElsewhere({ table }: IndexDefinition): DatabaseError {
  return new DatabaseError('QUERY_FAILED', `another session is building an index on ${table}`, {
    sqlState: SQLSTATE.lockNotAvailable,
    hint: 'let it finish (pg_stat_progress_create_index shows how far it is), and run this again',
  })
}

/** The statement, for those who want to run it themselves. */
export function createIndexSql(index: IndexDefinition): string {
  const { columns, method } = index
  return [
    `CREATE ${index.isUnique ? 'UNIQUE ' : ''}INDEX CONCURRENTLY ${quoteIdentifier(index.name)}`,
    `ON ${qualifiedTable(index)}`,
    method === undefined ? `(${columns})` : `USING ${method.name} (${columns} ${method.operatorClass})`,
    ...(index.where === undefined ? [] : [`WHERE ${index.where}`]),
  ].join(' ')
}

async function dropIndex(db: QueryRunner, index: IndexDefinition, { schema }: IndexRow): Promise<void> {
  await db.runScript(
    `DROP INDEX CONCURRENTLY IF EXISTS ${quoteIdentifier(schema)}.${quoteIdentifier(index.name)}`,
  )
}

function qualifiedTable({ schema, table }: IndexDefinition): string {
  return [schema, table].flatMap(name => (name === undefined ? [] : quoteIdentifier(name))).join('.')
}

/** Whether the statement met another one that built or dropped on the same table. */
function isMeeting(error: DatabaseError): boolean {
  return (
    error.sqlState === SQLSTATE.deadlockDetected ||
    error.sqlState === SQLSTATE.duplicateTable ||
    error.sqlState === SQLSTATE.undefinedObject
  )
}
