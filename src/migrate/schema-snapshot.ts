import { TripwireStorageError } from '../errors.ts'
import type { QueryRunner } from '../pg/database.ts'
import { CATALOGUE_SECTIONS } from './schema-catalogue.ts'
import { FUNCTION_RIGHTS } from './schema-statement.ts'
import { VERSION_TABLE } from './schema-version.ts'

/** The statements that make the objects of one kind, in a fixed order. */
export interface SnapshotSection {
  readonly title: string
  readonly statements: readonly string[]
}

export interface SchemaSnapshot {
  /** The name of the schema, as it stands in the catalogue. The statements do not name it. */
  readonly schema: string
  readonly sections: readonly SnapshotSection[]
}

/** The bounds of partitions and the defaults of columns are printed in the manner of the session. */
const SET_OUTPUT = `
  SELECT
    set_config('TimeZone', 'UTC', true),
    set_config('DateStyle', 'ISO', true),
    set_config('IntervalStyle', 'postgres', true),
    set_config('quote_all_identifiers', 'off', true)`

/** The search_path may begin with a schema that holds none of our tables. */
const FIND_SCHEMA = `
  SELECT
    nspname AS name,
    quote_ident(nspname) AS quoted
  FROM pg_class
  JOIN pg_namespace
    ON pg_namespace.oid = relnamespace
  WHERE pg_class.oid = to_regclass($1)`

/**
 * Describes the schema of a database as the statements that would make it: deterministic, and the same on PostgreSQL 15 to 18
 * for the same schema. Changes settings of the transaction.
 * @throws TripwireStorageError NOT_MIGRATED when no schema of the search_path holds the table of the migrations.
 */
export async function takeSchemaSnapshot(transaction: QueryRunner): Promise<SchemaSnapshot> {
  const found = await transaction.query<{ name: string; quoted: string }>(FIND_SCHEMA, [VERSION_TABLE])
  const [schema] = found.rows
  if (!schema) {
    throw new TripwireStorageError('NOT_MIGRATED', 'the database has no schema yet', {
      hint: 'run: tripwire-storage migrate up',
    })
  }
  await transaction.query(SET_OUTPUT)
  const sections: SnapshotSection[] = []
  for (const { title, sql } of CATALOGUE_SECTIONS) {
    const { rows } = await transaction.query<{ sql: string }>(sql, [schema.quoted])
    sections.push({ title, statements: rows.map(row => withoutSchema(row.sql, schema.quoted)) })
  }
  return { schema: schema.name, sections }
}

/** The snapshot as one text, a section after the other. */
export function renderSnapshot({ sections }: SchemaSnapshot): string {
  return sections
    .filter(({ statements }) => statements.length > 0)
    .map(({ title, statements }) => `-- ${title}\n\n${statements.join('\n\n')}\n`)
    .join('\n')
}

/** The catalogues name the schema in some definitions and not in others. */
function withoutSchema(statement: string, schema: string): string {
  const name = schema.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const qualified = new RegExp(`(?<=^|[\\s(])${name}\\.`, 'g')
  const [head = '', ...body] = statement.split('\nAS $')
  return [head.replace(qualified, ''), ...body]
    .join('\nAS $')
    .replace(FUNCTION_RIGHTS, rights => rights.replace(qualified, ''))
}
