import pg from 'pg'
import type { IdKind } from '../support/bench-alert.ts'

/** A table of alerts that differs from ours in one respect. */
export interface IndexVariant {
  readonly name: string
  readonly ids: IdKind
  /** Changes a database of its own. */
  readonly prepare: (client: pg.Client) => Promise<void>
}

export interface PartitionIndex {
  readonly name: string
  /** On the partitioned table, when it has the index as well: that one has to be dropped, and takes the others along. */
  readonly parent: string | null
  readonly isUnique: boolean
  readonly columns: string
}

const FILL_FACTORS = [70, 90, 100] as const

/** The partition that is being written. */
export const CURRENT_PARTITION = `to_regclass(to_char(now() AT TIME ZONE 'UTC', '"alerts_y"YYYY"m"MM'))`

const READ_INDEXES = `
  SELECT
    index.relname AS "name",
    parent.relname AS "parent",
    pg_index.indisunique AS "isUnique",
    regexp_replace(pg_get_indexdef(pg_index.indexrelid), '^.* USING btree ', '') AS "columns"
  FROM pg_index
  JOIN pg_class AS index ON index.oid = pg_index.indexrelid
  LEFT JOIN pg_inherits ON pg_inherits.inhrelid = pg_index.indexrelid
  LEFT JOIN pg_class AS parent ON parent.oid = pg_inherits.inhparent
  WHERE pg_index.indrelid = ${CURRENT_PARTITION}
  ORDER BY index.relname`

export async function readIndexes(client: pg.Client): Promise<readonly PartitionIndex[]> {
  const { rows } = await client.query<PartitionIndex>(READ_INDEXES)
  return rows
}

export function listIndexVariants(indexes: readonly PartitionIndex[]): readonly IndexVariant[] {
  const variant = (name: string, prepare: IndexVariant['prepare'], ids: IdKind = 'random'): IndexVariant => ({
    name,
    ids,
    prepare,
  })
  const asItIs = async () => {}
  return [
    variant('all indexes', asItIs),
    ...indexes.map(index =>
      variant(`without ${index.isUnique ? 'unique ' : ''}${index.columns}`, client =>
        dropIndex(client, index),
      ),
    ),
    variant('unique (host_id, alert_id)', async client => {
      const [unique, partition] = [await findUnique(client), await readPartition(client)]
      await dropIndex(client, unique)
      const name = pg.escapeIdentifier(unique.name)
      await client.query(`CREATE UNIQUE INDEX ${name} ON ${partition} (host_id, alert_id)`)
    }),
    variant('time-ordered ids', asItIs, 'time-ordered'),
    ...FILL_FACTORS.map(percent =>
      variant(`unique index, fillfactor ${percent}`, async client => {
        const unique = await findUnique(client)
        await client.query(`ALTER INDEX ${pg.escapeIdentifier(unique.name)} SET (fillfactor = ${percent})`)
      }),
    ),
  ]
}

async function dropIndex(client: pg.Client, index: PartitionIndex): Promise<void> {
  await client.query(`DROP INDEX ${pg.escapeIdentifier(index.parent ?? index.name)}`)
}

async function findUnique(client: pg.Client): Promise<PartitionIndex> {
  const unique = (await readIndexes(client)).find(index => index.isUnique)
  if (!unique) throw new Error('the partition of the month has no unique index')
  return unique
}

async function readPartition(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>(`SELECT ${CURRENT_PARTITION}::text AS name`)
  return rows[0]?.name ?? ''
}
