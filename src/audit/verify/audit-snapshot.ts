import { DatabaseError, TripwireStorageError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { timestampFromRow } from '../../pg/row-values.ts'
import { SQLSTATE_CLASS } from '../../pg/sqlstate.ts'
import { LIFT_TIME_LIMITS } from '../../pg/time-limits.ts'

/**
 * One snapshot for the whole verification: what is appended meanwhile is not looked at. A row that a policy would hide must be an
 * error: it would be taken for missing, or its damage not be seen.
 */
const BEGIN_SNAPSHOT = `
  SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
  SET LOCAL row_security = off`

/** Its first statement: it takes the snapshot. */
const FIND_LOG = `
  SELECT
    pg_namespace.nspname || '.' || found.relname AS table,
    -- A temporary table comes before every other, and holds what its session put there.
    found.relkind = 'r' AND found.relpersistence <> 't' AS is_table,
    pg_namespace.nspname AS schema,
    pg_is_in_recovery() AS is_standby,
    to_json(now() AT TIME ZONE 'UTC')::text AS read_at
  FROM (VALUES ('audit_entries'), ('audit_prunings')) AS wanted (name)
  LEFT JOIN pg_class AS found
    ON found.oid = to_regclass(wanted.name)
  LEFT JOIN pg_namespace
    ON pg_namespace.oid = found.relnamespace
  ORDER BY wanted.name`

interface LogRow {
  readonly table: string | null
  readonly is_table: boolean | null
  readonly schema: string | null
  readonly is_standby: boolean
  readonly read_at: string
}

/** What was looked at, and when. */
export interface AuditSnapshot {
  /** With its schema. */
  readonly table: string
  /** RFC 3339, UTC, by the clock of the server. */
  readonly readAt: string
  /** Whether it is a standby, which may not have received everything yet. */
  readonly isStandby: boolean
}

/** The log is not there, or not as it should be. */
export class UnreadableLogError extends TripwireStorageError {
  readonly expected: string
  readonly found: string

  constructor(expected: string, found: string) {
    super('MALFORMED_ROW', `expected ${expected}, found ${found}`)
    this.expected = expected
    this.found = found
  }
}

/**
 * Prepares a transaction that reads the whole log; its first statements.
 * @throws UnreadableLogError
 */
export async function beginSnapshot(transaction: QueryRunner): Promise<AuditSnapshot> {
  await transaction.runScript(BEGIN_SNAPSHOT)
  await transaction.runScript(LIFT_TIME_LIMITS)
  const { rows } = await transaction.query<LogRow>(FIND_LOG)
  for (const [index, name] of ['audit_entries', 'audit_prunings'].entries()) {
    const row = rows[index]
    if (!row?.table) throw new UnreadableLogError(`a table ${name}`, 'none')
    if (!row.is_table)
      throw new UnreadableLogError(`a table ${name}`, `${row.table}, which is no lasting table`)
  }
  const [entries, prunings] = rows
  if (entries?.schema !== prunings?.schema) {
    throw new UnreadableLogError(
      `audit_prunings in the schema ${entries?.schema}`,
      `one in ${prunings?.schema}`,
    )
  }
  return {
    table: entries?.table ?? '',
    readAt: timestampFromRow(entries?.read_at ?? ''),
    isStandby: entries?.is_standby ?? false,
  }
}

/** What the server says of tables and rows that cannot be read. Anything else is about the moment, and the next try may succeed. */
const UNREADABLE: ReadonlySet<string | undefined> = new Set([
  SQLSTATE_CLASS.dataException,
  SQLSTATE_CLASS.programLimitExceeded,
  SQLSTATE_CLASS.featureNotSupported,
  // Missing tables and columns, no right to read them, rows that a policy would hide.
  SQLSTATE_CLASS.syntaxErrorOrAccessRuleViolation,
  // Corrupt pages and indexes.
  SQLSTATE_CLASS.internalError,
])

/** What cannot be read and why, if the error says that; `undefined` for any other error. */
export function unreadable(
  error: unknown,
): { readonly expected: string; readonly found: string } | undefined {
  if (error instanceof UnreadableLogError) return error
  const isOfServer =
    error instanceof DatabaseError &&
    error.code === 'QUERY_FAILED' &&
    UNREADABLE.has(error.sqlState?.slice(0, 2))
  const isOfRow = error instanceof TripwireStorageError && error.code === 'MALFORMED_ROW'
  if (!isOfServer && !isOfRow) return undefined
  return { expected: 'tables that can be read', found: error.message }
}
