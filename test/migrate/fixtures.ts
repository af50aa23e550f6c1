import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readMigrations } from '../../src/migrate/migration-files.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** The version of the newest migration of the package. */
export async function newestVersion(): Promise<number> {
  return (await readMigrations()).length
}

export interface MigrationFolder extends AsyncDisposable {
  readonly dir: string
}

/** A folder with migration files, which goes away with its block. */
export async function migrationFolder(files: Readonly<Record<string, string>>): Promise<MigrationFolder> {
  const dir = await mkdtemp(join(tmpdir(), 'tripwire-migrations-'))
  for (const [name, sql] of Object.entries(files)) await writeFile(join(dir, name), sql)
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }
}

/** Takes everything out of a database. */
export async function emptySchema(database: TestDatabase): Promise<void> {
  await database.sql('DROP SCHEMA public CASCADE')
  await database.sql('CREATE SCHEMA public')
}

/** Everything that a schema consists of, as the catalogue tells it: tables, columns, constraints, indexes, types, functions, triggers. */
export async function describeSchema(database: TestDatabase, schema = 'public'): Promise<readonly string[]> {
  const rows = await database.sql(`
    SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
      || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '') AS item
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = '${schema}'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = '${schema}'::regnamespace AND contype <> 'n'
    UNION ALL
    SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = '${schema}'
    UNION ALL
    SELECT 'enum ' || t.typname || ' ' || string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
    FROM pg_type AS t JOIN pg_enum AS e ON e.enumtypid = t.oid
    WHERE t.typnamespace = '${schema}'::regnamespace GROUP BY t.typname
    UNION ALL
    SELECT 'function ' || pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = '${schema}'::regnamespace
    UNION ALL
    SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = '${schema}'::regnamespace AND NOT t.tgisinternal
    UNION ALL
    SELECT 'partition ' || relname || ' ' || pg_get_expr(relpartbound, oid) FROM pg_class
    WHERE relnamespace = '${schema}'::regnamespace AND relispartition AND relkind = 'r'
    ORDER BY 1`)
  return rows.map(row => String(row['item']))
}
