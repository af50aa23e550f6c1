import { buildIndexConcurrently, type IndexDefinition } from '../pg/build-index.ts'
import type { QueryRunner } from '../pg/database.ts'
import { joinName } from '../pg/identifier.ts'
import type { WantedIndex } from './wanted-alert-indexes.ts'

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

/** Of the indexes that are wanted, those that partitions with rows lack, in the order in which they would be built. */
export async function planAlertIndexes(
  db: QueryRunner,
  wanted: readonly WantedIndex[],
): Promise<readonly PlannedIndex[]> {
  const partitions = (await db.query<FilledPartition>(READ_FILLED_PARTITIONS)).rows
  const indexes = (await db.query<PartitionIndex>(READ_PARTITION_INDEXES)).rows
  return partitions.flatMap(partition =>
    planPartition(
      partition,
      indexes.filter(index => index.partitionId === partition.id),
      wanted,
    ),
  )
}

/**
 * Builds what a migration needs on partitions with rows, before it locks them: it takes these indexes over. Readers and writers
 * go on. A run that was cut is continued by the next.
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
  wantedIndexes: readonly WantedIndex[],
): readonly PlannedIndex[] {
  const taken = new Set(existing.map(index => index.name))
  const possible = wantedIndexes.filter(wanted => partition.isMonth || !wanted.isUnique)
  return possible.flatMap(wanted => {
    const same = existing.filter(index => isSame(index, wanted))
    if (same.some(index => index.isValid)) return []
    // What a build that was cut left behind is built anew, under its own name.
    const name = same[0]?.name ?? freeName(partition.table, wanted, taken)
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

/** The name that PostgreSQL itself would choose, so that a schema is the same whoever built the index. */
function freeName(table: string, { suffix, columns }: WantedIndex, taken: ReadonlySet<string>): string {
  for (let number = 0; ; number++) {
    const label = `${suffix === undefined ? 'idx' : suffix}${number === 0 ? '' : number}`
    const name = joinName(table, suffix === undefined ? columns.replaceAll(', ', '_') : '', label)
    if (!taken.has(name)) return name
  }
}
