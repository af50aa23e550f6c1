import { parseText } from '../../model/input.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { timestampFromRow } from '../../pg/row-values.ts'
import { archiveFailed } from './archive-errors.ts'
import { requireFolder, requireWritable } from './archive-folder.ts'
import { partitionOfMonth } from './archive-month.ts'
import { noSuchTable, requireKnownColumns } from './detached-table.ts'
import { prepareTransaction } from './transaction-settings.ts'
import { requireWithinBounds } from './within-bounds.ts'

const LONGEST = 4096

/**
 * Whether a month can be archived and dropped, asked before it is detached: what is refused afterwards leaves a month that no
 * query finds any more. It looks at the folder, by a file that it writes, syncs and removes, and at the partition.
 * Nobody who reads or writes waits for it.
 * @param partition its name in the catalogue; attached or not.
 * @throws InvalidInputError
 * @throws TripwireStorageError ARCHIVE_FAILED with the reason: the folder cannot be written; the partition is no ordinary table,
 *   has columns that an archive does not hold, cannot be read or dropped by this role, or holds alerts outside its month.
 *   DatabaseError.
 */
export async function requireArchivable(db: Database, partition: string, archiveDir: string): Promise<void> {
  const table = parseText('partition', partition, LONGEST)
  const folder = parseText('archiveDir', archiveDir, LONGEST)
  await requireFolder(folder)
  await requireWritable(folder)
  await db.transaction(async transaction => {
    await prepareTransaction(transaction)
    const found = await findPartition(transaction, table)
    await requireKnownColumns(transaction, found.name, table)
    requireRights(table, found)
    if (found.is_partition) await requireMonth(transaction, table, found)
  })
}

interface PartitionRow {
  readonly name: string
  readonly is_table: boolean
  readonly is_partition: boolean
  readonly owner: string
  readonly may_drop: boolean
  readonly may_read: boolean
  readonly hides_rows: boolean
  readonly needed_by: string | null
  readonly range_from: string | null
  readonly range_to: string | null
}

/** `needed_by`: DROP TABLE, which never takes away what is not ours, would be refused for it. */
const FIND_PARTITION = `
  SELECT
    format('%I.%I', pg_namespace.nspname, found.relname) AS name,
    found.relkind = 'r' AS is_table,
    found.relispartition AS is_partition,
    pg_get_userbyid(found.relowner) AS owner,
    pg_has_role(found.relowner, 'USAGE') AS may_drop,
    has_table_privilege(found.oid, 'SELECT') AND has_table_privilege('hosts', 'SELECT') AS may_read,
    row_security_active(found.oid) AS hides_rows,
    (
      SELECT pg_describe_object(pg_depend.classid, pg_depend.objid, 0)
      FROM pg_depend
      LEFT JOIN pg_rewrite
        ON pg_depend.classid = 'pg_rewrite'::regclass
        AND pg_rewrite.oid = pg_depend.objid
      LEFT JOIN pg_constraint
        ON pg_depend.classid = 'pg_constraint'::regclass
        AND pg_constraint.oid = pg_depend.objid
        AND pg_constraint.contype = 'f'
      WHERE pg_depend.refclassid = 'pg_class'::regclass
        AND pg_depend.refobjid = found.oid
        AND pg_depend.deptype = 'n'
        AND coalesce(pg_rewrite.ev_class, pg_constraint.conrelid) <> found.oid
      LIMIT 1
    ) AS needed_by,
    to_json(trim(bounds[1], '''')::timestamptz AT TIME ZONE 'UTC') AS range_from,
    to_json(trim(bounds[2], '''')::timestamptz AT TIME ZONE 'UTC') AS range_to
  FROM pg_class AS found
  JOIN pg_namespace
    ON pg_namespace.oid = found.relnamespace
  LEFT JOIN LATERAL regexp_match(
    pg_get_expr(found.relpartbound, found.oid),
    'FROM \\((''[^'']*'')\\) TO \\((''[^'']*'')\\)'
  ) AS bounds
    ON true
  WHERE found.oid = to_regclass(quote_ident($1))`

async function findPartition(db: QueryRunner, table: string): Promise<PartitionRow> {
  const { rows } = await db.query<PartitionRow>(FIND_PARTITION, [table])
  const [found] = rows
  if (!found) throw noSuchTable(table)
  if (!found.is_table) {
    throw archiveFailed(
      `${table} is no ordinary table`,
      'a partition that is partitioned itself, or a foreign table, is detached and kept by hand',
    )
  }
  return found
}

function requireRights(table: string, found: PartitionRow): void {
  if (!found.may_drop) {
    throw archiveFailed(
      `${table} belongs to ${found.owner}, and this role may not drop it`,
      `make this role a member of that one, or: ALTER TABLE ${found.name} OWNER TO …`,
    )
  }
  if (!found.may_read) {
    throw archiveFailed(`${table} or hosts cannot be read`, `GRANT SELECT ON ${found.name}, hosts TO …`)
  }
  if (found.hides_rows) {
    throw archiveFailed(
      `a row security policy hides alerts of ${table} from this role`,
      `ALTER TABLE ${found.name} NO FORCE ROW LEVEL SECURITY`,
    )
  }
  if (found.needed_by !== null) {
    throw archiveFailed(`${table} cannot be dropped: ${found.needed_by} depends on it`, 'drop that first')
  }
}

async function requireMonth(db: QueryRunner, table: string, found: PartitionRow): Promise<void> {
  const [from, to] = [found.range_from, found.range_to].map(bound =>
    bound === null ? undefined : timestampFromRow(bound),
  )
  if (from === undefined || to === undefined || partitionOfMonth(from, to) === undefined) {
    throw archiveFailed(
      `the bounds of ${table} are not those of one month in UTC`,
      'only whole months are archived',
    )
  }
  await requireWithinBounds(db, found.name, { table, from, to })
}
