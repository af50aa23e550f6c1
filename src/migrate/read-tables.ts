import type { QueryRunner } from '../pg/database.ts'

export interface FoundRelation {
  readonly name: string
  /** `a table`, `a view`, … */
  readonly kind: string
  /** As `pg_get_partkeydef` prints it. */
  readonly partitionedBy: string | null
}

export interface FoundColumn {
  readonly table: string
  readonly column: string
  readonly type: string
  readonly isNullable: boolean
  readonly defaultSql: string | null
  /** GENERATED ALWAYS, as an identity or by an expression: it refuses values. */
  readonly isGenerated: boolean
}

/** What the current schema holds under the names that were asked for, in the words of the catalogue. */
export interface FoundTables {
  readonly relations: ReadonlyMap<string, FoundRelation>
  readonly columns: ReadonlyMap<string, readonly FoundColumn[]>
  /** `PRIMARY KEY (host_id)` and the like. A unique index does what a unique constraint does, and stands here as well. */
  readonly keys: ReadonlyMap<string, readonly { readonly table: string; readonly definition: string }[]>
  /** In the order of their labels. */
  readonly enumLabels: ReadonlyMap<string, readonly { readonly type: string; readonly label: string }[]>
}

const READ_RELATIONS = `
  SELECT
    relname AS name,
    CASE
      WHEN relkind NOT IN ('r', 'p') OR relispartition THEN 'something else'
      WHEN relpersistence = 'u' THEN 'an unlogged table'
      ELSE 'a table'
    END AS kind,
    CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END AS "partitionedBy"
  FROM pg_class
  WHERE relnamespace = quote_ident(current_schema())::regnamespace
    AND relname = ANY ($1)`

const READ_COLUMNS = `
  SELECT
    relname AS table,
    attname AS column,
    format_type(atttypid, atttypmod) AS type,
    NOT attnotnull AS "isNullable",
    CASE WHEN attidentity = '' THEN pg_get_expr(adbin, adrelid) ELSE 'GENERATED AS IDENTITY' END AS "defaultSql",
    attgenerated <> '' OR attidentity = 'a' AS "isGenerated"
  FROM pg_attribute
  JOIN pg_class
    ON pg_class.oid = attrelid
  LEFT JOIN pg_attrdef
    ON adrelid = attrelid
    AND adnum = attnum
  WHERE relnamespace = quote_ident(current_schema())::regnamespace
    AND relname = ANY ($1)
    AND attnum > 0
    AND NOT attisdropped
  ORDER BY relname, attnum`

const READ_KEYS = `
  SELECT
    relname AS table,
    format(
      '%s (%s)',
      CASE WHEN indisprimary THEN 'PRIMARY KEY' ELSE 'UNIQUE' END,
      (
        SELECT string_agg(pg_get_indexdef(indexrelid, position, false), ', ' ORDER BY position)
        FROM generate_series(1, indnkeyatts) AS position
      )
    ) AS definition
  FROM pg_index
  JOIN pg_class
    ON pg_class.oid = indrelid
  WHERE relnamespace = quote_ident(current_schema())::regnamespace
    AND relname = ANY ($1)
    AND indisunique
    AND indisvalid
    AND indimmediate
    AND indpred IS NULL
  UNION ALL
  SELECT
    relname,
    pg_get_constraintdef(pg_constraint.oid)
  FROM pg_constraint
  JOIN pg_class
    ON pg_class.oid = conrelid
  WHERE relnamespace = quote_ident(current_schema())::regnamespace
    AND relname = ANY ($1)
    AND contype = 'f'`

const READ_ENUM_LABELS = `
  SELECT
    typname AS type,
    enumlabel AS label
  FROM pg_type
  JOIN pg_enum
    ON enumtypid = pg_type.oid
  WHERE typnamespace = quote_ident(current_schema())::regnamespace
    AND typname = ANY ($1)
  ORDER BY typname, enumsortorder`

/** Looks for these names alone: other tables of the schema belong to others. */
export async function readTables(
  db: QueryRunner,
  names: { readonly tables: readonly string[]; readonly enums: readonly string[] },
): Promise<FoundTables> {
  const relations = await db.query<FoundRelation>(READ_RELATIONS, [names.tables])
  const columns = await db.query<FoundColumn>(READ_COLUMNS, [names.tables])
  const keys = await db.query<{ table: string; definition: string }>(READ_KEYS, [names.tables])
  const labels = await db.query<{ type: string; label: string }>(READ_ENUM_LABELS, [names.enums])
  return {
    relations: new Map(relations.rows.map(relation => [relation.name, relation])),
    columns: Map.groupBy(columns.rows, column => column.table),
    keys: Map.groupBy(keys.rows, key => key.table),
    enumLabels: Map.groupBy(labels.rows, label => label.type),
  }
}
