import { buildIndexConcurrently, type IndexDefinition } from '../pg/build-index.ts'
import type { QueryRunner } from '../pg/database.ts'

/** The migration that gives alerts its indexes, by the name of its files. */
export const ALERT_KEYS = 'alert_keys'

/** In PostgreSQL, a name has so many bytes. */
const LONGEST_NAME = 63

interface WantedIndex {
  /** What PostgreSQL, too, puts behind the name of the partition when it builds this index itself. */
  readonly suffix: string
  readonly columns: string
  readonly isUnique: boolean
  readonly where?: string
  /** As `pg_get_indexdef` prints it. */
  readonly definition: string
}

/** What migration 005 would build on each partition while it holds its locks. */
const WANTED: readonly WantedIndex[] = [
  {
    suffix: 'received_at_alert_id_idx',
    columns: 'received_at, alert_id',
    isUnique: false,
    definition: 'btree (received_at, alert_id)',
  },
  {
    suffix: 'host_id_received_at_alert_id_idx',
    columns: 'host_id, received_at, alert_id',
    isUnique: false,
    definition: 'btree (host_id, received_at, alert_id)',
  },
  {
    suffix: 'received_at_alert_id_idx1',
    columns: 'received_at, alert_id',
    isUnique: false,
    where: `severity = 'WARN'`,
    definition: `btree (received_at, alert_id) WHERE (severity = 'WARN'::severity_level)`,
  },
  {
    suffix: 'received_at_alert_id_idx2',
    columns: 'received_at, alert_id',
    isUnique: false,
    where: `severity = 'CRITICAL'`,
    definition: `btree (received_at, alert_id) WHERE (severity = 'CRITICAL'::severity_level)`,
  },
  {
    suffix: 'stored_once',
    columns: 'alert_id, host_id',
    isUnique: true,
    definition: 'btree (alert_id, host_id)',
  },
]

interface FilledPartition {
  readonly id: string
  readonly schema: string
  readonly table: string
  /** Not a partition of a partition, where a unique index would promise too little. */
  readonly isMonth: boolean
}

interface PartitionIndex {
  readonly partitionId: string
  readonly name: string
  readonly definition: string
  readonly isUnique: boolean
  readonly isValid: boolean
}

/** An index to be built on a partition. */
export interface PlannedIndex {
  readonly partition: FilledPartition
  readonly index: IndexDefinition
}

/** From the catalogue alone: `pg_partition_tree` would lock every partition until the transaction ends. */
const PARTITIONS = `
  WITH RECURSIVE partitions AS (
    SELECT
      inhrelid AS id,
      1 AS level
    FROM pg_inherits
    WHERE inhparent = 'alerts'::regclass
    UNION ALL
    SELECT
      inhrelid,
      level + 1
    FROM pg_inherits
    JOIN partitions
      ON inhparent = id
  )`

const READ_FILLED_PARTITIONS = `${PARTITIONS}
  SELECT
    pg_class.oid::text AS id,
    nspname AS schema,
    relname AS table,
    level = 1 AS "isMonth"
  FROM partitions
  JOIN pg_class
    ON pg_class.oid = partitions.id
  JOIN pg_namespace
    ON pg_namespace.oid = relnamespace
  WHERE relkind = 'r'
    AND pg_relation_size(pg_class.oid) > 0
  ORDER BY nspname, relname`

const READ_PARTITION_INDEXES = `${PARTITIONS}
  SELECT
    indrelid::text AS "partitionId",
    relname AS name,
    split_part(pg_get_indexdef(indexrelid), ' USING ', 2) AS definition,
    indisunique AS "isUnique",
    indisvalid AS "isValid"
  FROM partitions
  JOIN pg_index
    ON indrelid = partitions.id
  JOIN pg_class
    ON pg_class.oid = indexrelid`

/** The indexes that partitions with rows lack, in the order in which they would be built. */
export async function planAlertIndexes(db: QueryRunner): Promise<readonly PlannedIndex[]> {
  const partitions = (await db.query<FilledPartition>(READ_FILLED_PARTITIONS)).rows
  const indexes = (await db.query<PartitionIndex>(READ_PARTITION_INDEXES)).rows
  return partitions.flatMap(partition =>
    planPartition(
      partition,
      indexes.filter(index => index.partitionId === partition.id),
    ),
  )
}

/**
 * Builds what migration 005 needs on partitions with rows, before it locks them: it takes these indexes over. Readers and
 * writers go on. A run that was cut is continued by the next.
 * @param db not a transaction.
 * @returns the partitions that hold an alert twice: they have no unique index.
 */
export async function buildAlertIndexes(
  db: QueryRunner,
  planned: readonly PlannedIndex[],
): Promise<readonly FilledPartition[]> {
  const withDuplicates: FilledPartition[] = []
  for (const { partition, index } of planned) {
    if ((await buildIndexConcurrently(db, index)) === 'duplicates') withDuplicates.push(partition)
  }
  return withDuplicates
}

function planPartition(
  partition: FilledPartition,
  existing: readonly PartitionIndex[],
): readonly PlannedIndex[] {
  const taken = new Set(existing.map(index => index.name))
  return WANTED.filter(wanted => partition.isMonth || !wanted.isUnique).flatMap(wanted => {
    const same = existing.filter(index => isSame(index, wanted))
    if (same.some(index => index.isValid)) return []
    // What a build that was cut left behind is built anew, under its own name.
    const name = same[0]?.name ?? freeName(partition.table, wanted.suffix, taken)
    taken.add(name)
    const { columns, isUnique, where } = wanted
    const { schema, table } = partition
    const index = { name, schema, table, columns, isUnique, ...(where === undefined ? {} : { where }) }
    return [{ partition, index }]
  })
}

function isSame(index: PartitionIndex, wanted: WantedIndex): boolean {
  return index.definition === wanted.definition && index.isUnique === wanted.isUnique
}

function freeName(table: string, suffix: string, taken: ReadonlySet<string>): string {
  for (let number = 0; ; number++) {
    const name = joinName(table, number === 0 ? suffix : `${suffix}_${number}`)
    if (!taken.has(name)) return name
  }
}

/** A name that is too long is cut in its first part, as PostgreSQL does it. */
function joinName(table: string, suffix: string): string {
  let start = table
  while (Buffer.byteLength(`${start}_${suffix}`) > LONGEST_NAME) start = [...start].slice(0, -1).join('')
  return `${start}_${suffix}`
}
