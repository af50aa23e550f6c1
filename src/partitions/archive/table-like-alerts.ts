import { TripwireStorageError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { quoteIdentifier } from '../../pg/identifier.ts'

/** As they must stand in CREATE TABLE. A constraint of NOT NULL has a name since PostgreSQL 18. */
const COLUMNS = `
  SELECT string_agg(
    concat_ws(
      ' ',
      quote_ident(attname),
      format_type(atttypid, atttypmod),
      CASE WHEN attcollation <> typcollation THEN 'COLLATE ' || attcollation::regcollation END,
      CASE attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END,
      CASE attgenerated
        WHEN '' THEN 'DEFAULT ' || pg_get_expr(adbin, adrelid)
        WHEN 's' THEN 'GENERATED ALWAYS AS (' || pg_get_expr(adbin, adrelid) || ') STORED'
        ELSE 'GENERATED ALWAYS AS (' || pg_get_expr(adbin, adrelid) || ')'
      END,
      CASE WHEN attnotnull THEN coalesce('CONSTRAINT ' || quote_ident(conname), '') || ' NOT NULL' END
    ),
    ', '
    ORDER BY attnum
  )
  FROM pg_attribute
  JOIN pg_type
    ON pg_type.oid = atttypid
  LEFT JOIN pg_attrdef
    ON adrelid = attrelid
    AND adnum = attnum
  LEFT JOIN pg_constraint
    ON conrelid = attrelid
    AND contype = 'n'
    AND conkey = ARRAY[attnum]
  WHERE attrelid = alerts.oid
    AND attnum > 0
    AND NOT attisdropped`

const CHECKS = `
  SELECT coalesce(string_agg(format(', CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), ''), '')
  FROM pg_constraint
  WHERE conrelid = alerts.oid
    AND contype = 'c'`

const STORAGE = `
  SELECT string_agg(
    format(
      'ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s',
      new_table.name,
      attname,
      CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END
    ),
    '; '
  )
  FROM pg_attribute
  JOIN pg_type
    ON pg_type.oid = atttypid
  WHERE attrelid = alerts.oid
    AND attnum > 0
    AND NOT attisdropped
    AND attstorage <> typstorage`

/** In the order of LIKE, because the names that PostgreSQL gives them depend on it. */
const INDEXES = `
  SELECT string_agg(
    CASE
      WHEN conname IS NOT NULL THEN format('ALTER TABLE %s ADD %s', new_table.name, pg_get_constraintdef(pg_constraint.oid))
      ELSE format(
        'CREATE %sINDEX ON %s%s',
        CASE WHEN indisunique THEN 'UNIQUE ' END,
        new_table.name,
        substr(pg_get_indexdef(indexrelid), length(on_alerts) + 1)
      )
    END,
    '; '
    ORDER BY indexrelid
  )
  FROM pg_index
  JOIN pg_class AS index
    ON index.oid = indexrelid
  LEFT JOIN pg_constraint
    ON conindid = indexrelid
    AND contype IN ('p', 'u', 'x')
    AND conrelid = alerts.oid
  CROSS JOIN LATERAL format(
    'CREATE %sINDEX %I ON ONLY %I.%I',
    CASE WHEN indisunique THEN 'UNIQUE ' END,
    index.relname,
    pg_namespace.nspname,
    alerts.relname
  ) AS on_alerts
  WHERE indrelid = alerts.oid`

/**
 * What LIKE alerts INCLUDING ALL would give, but for comments and extended statistics. LIKE itself holds a lock on alerts until
 * the transaction ends; these functions hold none.
 */
const READ_DEFINITION = `
  SELECT
    new_table.name,
    concat_ws(
      '; ',
      format('CREATE TABLE %s (%s%s)', new_table.name, (${COLUMNS}), (${CHECKS})),
      (${STORAGE}),
      (${INDEXES}),
      CASE
        WHEN pg_get_userbyid(alerts.relowner) <> current_user
        THEN format('ALTER TABLE %s OWNER TO %I', new_table.name, pg_get_userbyid(alerts.relowner))
      END
    ) AS definition
  FROM pg_class AS alerts
  JOIN pg_namespace
    ON pg_namespace.oid = alerts.relnamespace
  CROSS JOIN LATERAL (SELECT format('%I.%I', pg_namespace.nspname, $1::text) AS name) AS new_table
  WHERE alerts.oid = 'alerts'::regclass`

/**
 * Makes an empty table that can become a partition of `alerts`, in its schema, with its columns, constraints and indexes, and of
 * its owner. The transaction holds no lock on `alerts` afterwards: a detachment would wait for it.
 * @param name as it is to stand in the catalogue.
 * @returns its name as it must stand in SQL.
 */
export async function createTableLikeAlerts(transaction: QueryRunner, name: string): Promise<string> {
  const { rows } = await transaction.query<{ name: string; definition: string }>(READ_DEFINITION, [name])
  const [table] = rows
  if (!table) throw new TripwireStorageError('NOT_MIGRATED', `there is no table alerts to make ${name} like`)
  await transaction.runScript(table.definition)
  return table.name
}

const RENAME_INDEXES = `
  SELECT format(
    'ALTER INDEX %I.%I RENAME TO %I',
    pg_namespace.nspname,
    index.relname,
    renamed.name
  ) AS statement
  FROM pg_index
  JOIN pg_class AS index
    ON index.oid = indexrelid
  JOIN pg_namespace
    ON pg_namespace.oid = index.relnamespace
  CROSS JOIN LATERAL (SELECT $3 || substr(index.relname, length($2) + 1) AS name) AS renamed
  WHERE indrelid = $1::regclass
    AND starts_with(index.relname, $2)
    AND to_regclass(quote_ident(renamed.name)) IS NULL`

const NAME_BESIDE = `
  SELECT format('%I.%I', pg_namespace.nspname, $2::text) AS name
  FROM pg_class
  JOIN pg_namespace
    ON pg_namespace.oid = pg_class.relnamespace
  WHERE pg_class.oid = $1::regclass`

/**
 * Renames a table, and its indexes with it, for which PostgreSQL made names out of that of the table. An index whose new name is
 * taken keeps its old one.
 * @param table as it stands in SQL.
 * @param names as they stand in the catalogue.
 * @returns the new name as it must stand in SQL.
 */
export async function renameTable(
  transaction: QueryRunner,
  table: string,
  names: { readonly from: string; readonly to: string },
): Promise<string> {
  const { from, to } = names
  const renamed = await transaction.query<{ name: string }>(NAME_BESIDE, [table, to])
  const indexes = await transaction.query<{ statement: string }>(RENAME_INDEXES, [table, from, to])
  const statements = [
    `ALTER TABLE ${table} RENAME TO ${quoteIdentifier(to)}`,
    ...indexes.rows.map(({ statement }) => statement),
  ]
  await transaction.runScript(statements.join(';\n'))
  return renamed.rows[0]?.name ?? to
}
