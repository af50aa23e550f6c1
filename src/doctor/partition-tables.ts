import type { QueryRunner } from '../pg/database.ts'

/** What the catalogue says of a partition as a table, beside its bounds. */
export interface PartitionTable {
  readonly partition: string
  /** As it must stand in SQL. */
  readonly name: string
  readonly kind: 'table' | 'partitioned' | 'foreign'
  /** A part of a partition that is partitioned itself. */
  readonly isPart: boolean
  readonly isUnlogged: boolean
  readonly owner: string
  readonly ownerOfAlerts: string
  /** Those of ours that do not fire. */
  readonly silentTriggers: readonly string[]
}

interface PartitionTableRow extends Omit<PartitionTable, 'silentTriggers'> {
  readonly silentTriggers: string
}

const READ_PARTITION_TABLES = `
  WITH RECURSIVE parts AS (
    SELECT
      inhrelid AS oid,
      false AS is_part
    FROM pg_inherits
    WHERE inhparent = 'alerts'::regclass
    UNION ALL
    SELECT
      inhrelid,
      true
    FROM pg_inherits
    JOIN parts
      ON inhparent = parts.oid
  )
  SELECT
    relname AS partition,
    pg_class.oid::regclass::text AS name,
    CASE relkind WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign' ELSE 'table' END AS kind,
    is_part AS "isPart",
    relpersistence = 'u' AS "isUnlogged",
    pg_get_userbyid(relowner) AS owner,
    (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'alerts'::regclass) AS "ownerOfAlerts",
    (
      SELECT coalesce(string_agg(tgname, ',' ORDER BY tgname COLLATE "C"), '')
      FROM pg_trigger
      WHERE tgrelid = pg_class.oid
        AND tgname IN (SELECT name FROM alert_triggers())
        AND tgenabled NOT IN ('O', 'A')
    ) AS "silentTriggers"
  FROM parts
  JOIN pg_class
    USING (oid)
  ORDER BY relname COLLATE "C"`

/** Partitions and their parts, whoever they belong to. */
export async function readPartitionTables(transaction: QueryRunner): Promise<readonly PartitionTable[]> {
  const { rows } = await transaction.query<PartitionTableRow>(READ_PARTITION_TABLES)
  return rows.map(row => ({ ...row, silentTriggers: row.silentTriggers.split(',').filter(Boolean) }))
}
