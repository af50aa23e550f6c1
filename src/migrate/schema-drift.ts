import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { QueryRunner } from '../pg/database.ts'
import { sortColumns, withoutOptionalColumns } from './schema-columns.ts'
import { mendChanged, mendMissing, mendUnexpected } from './schema-mend.ts'
import { takeSchemaSnapshot } from './schema-snapshot.ts'
import {
  describeStatement,
  FUNCTION_RIGHTS,
  readStatement,
  readStatements,
  type SchemaStatement,
  type StatementKind,
} from './schema-statement.ts'

/** What all migrations of the package give. */
export const SCHEMA_FILE = fileURLToPath(new URL('../../db/schema.sql', import.meta.url))

/** An object of the schema that is not what the migrations give. */
export interface SchemaDifference {
  readonly kind: 'missing' | 'changed' | 'unexpected'
  /** Such as `index alert_dead_letters_one_per_alert` or `constraint hosts_pkey on hosts`. */
  readonly object: string
  /** The statement that makes the object as it should be; `null` for one that should not be. */
  readonly expected: string | null
  /** The statement that makes the object as it is; `null` for one that is not there. */
  readonly found: string | null
  /** The first line in which the two differ, on either side; `null` unless the object is changed. */
  readonly firstDifference: { readonly expected: string; readonly found: string } | null
  /** SQL that brings the object back to what it should be. */
  readonly mend: string
}

/**
 * Compares a database at the newest migration with db/schema.sql, statement by statement. Left out are partitions, whatever
 * their names, because months come and go; what is not on our tables, because it belongs to the operator; and what changes
 * no outcome: the order of columns, storage parameters, comments, additional indexes that are not unique.
 * @param transaction whose settings are changed; it may be READ ONLY.
 * @throws TripwireStorageError NOT_MIGRATED when there is no schema.
 */
export async function findSchemaDrift(transaction: QueryRunner): Promise<readonly SchemaDifference[]> {
  const { schema, sections } = await takeSchemaSnapshot(transaction)
  const { rows } = await transaction.query<{ literal: string }>(QUOTE_LITERAL, [schema])
  const file = inSchema(await readFile(SCHEMA_FILE, 'utf8'), rows[0]?.literal ?? '')
  const expected = withoutPartitions(readStatements(file))
  const ourTables = new Set(expected.flatMap(({ kind, name }) => (kind === 'table' ? [name] : [])))
  const found = sections
    .flatMap(({ statements }) => statements.map(readStatement))
    .filter(({ table }) => table === undefined || ourTables.has(table))
  const { pairs, unexpected } = pairStatements(expected, found)
  const signatures = unexpected.some(({ kind }) => kind === 'function')
    ? await readSignatures(transaction, schema)
    : []
  return [
    ...pairs.flatMap(([wanted, present]) => compare(wanted, present)),
    ...unexpected.map(present => unexpectedObject(present, signatures)),
  ]
}

const QUOTE_LITERAL = `
  SELECT quote_literal($1::text) AS literal`

/** The functions are bound to the schema that they were made in. */
function inSchema(text: string, literal: string): string {
  return text.replaceAll(/^ SET search_path TO 'public',/gm, () => ` SET search_path TO ${literal},`)
}

function withoutPartitions(statements: readonly SchemaStatement[]): readonly SchemaStatement[] {
  const partitions = new Set(statements.flatMap(({ kind, name }) => (kind === 'partition' ? [name] : [])))
  return statements.filter(({ table }) => table === undefined || !partitions.has(table))
}

interface PairedStatements {
  readonly pairs: readonly (readonly [wanted: SchemaStatement, present: SchemaStatement | undefined])[]
  readonly unexpected: readonly SchemaStatement[]
}

function pairStatements(
  expected: readonly SchemaStatement[],
  found: readonly SchemaStatement[],
): PairedStatements {
  const left = new Map<string, SchemaStatement[]>()
  for (const statement of found) {
    const key = describeStatement(statement)
    const others = left.get(key)
    if (others) others.push(statement)
    else left.set(key, [statement])
  }
  const pairs = expected.map(wanted => {
    const candidates = left.get(describeStatement(wanted)) ?? []
    // Functions may share a name.
    const same = candidates.findIndex(({ sql }) => headOf(sql) === headOf(wanted.sql))
    const [present] = candidates.splice(Math.max(same, 0), 1)
    return [wanted, present] as const
  })
  const ourNames = new Set(expected.map(describeStatement))
  const unexpected = [...left].flatMap(([key, statements]) =>
    statements.filter(statement => isUnexpected(statement, ourNames.has(key))),
  )
  return { pairs, unexpected }
}

/**
 * A table, a view or a function of the operator's own is no concern of ours, nor is one more index for the operator's queries. A
 * unique one may refuse what we write, and a function with the name of ours may be called in its place.
 */
function isUnexpected({ kind, sql }: SchemaStatement, hasOurName: boolean): boolean {
  if (kind === 'index') return sql.startsWith('CREATE UNIQUE ')
  if (kind === 'function') return hasOurName
  return kind === 'constraint' || kind === 'trigger' || kind === 'policy'
}

function headOf(sql: string): string {
  return sql.split('\n', 1)[0] ?? ''
}

function compare(wanted: SchemaStatement, present: SchemaStatement | undefined): readonly SchemaDifference[] {
  const object = describeStatement(wanted)
  if (!present) {
    const mend = mendMissing(wanted)
    return [{ kind: 'missing', object, expected: wanted.sql, found: null, firstDifference: null, mend }]
  }
  const expected = comparable(wanted)
  const found = comparable(withoutHarmless(present, wanted))
  if (expected === found) return []
  return [
    {
      kind: 'changed',
      object,
      expected: wanted.sql,
      found: present.sql,
      firstDifference: findFirstDifference(wanted.kind, expected, found),
      mend: mendChanged(wanted, present),
    },
  ]
}

/**
 * An operator may keep something for themselves: a column that our statements need not fill, and a function from everybody, of
 * which we ask nothing.
 */
function withoutHarmless(present: SchemaStatement, wanted: SchemaStatement): SchemaStatement {
  const { kind, sql } = present
  if (kind === 'table') return { ...present, sql: withoutOptionalColumns(sql, wanted.sql) }
  if (kind === 'function' && !FUNCTION_RIGHTS.test(wanted.sql)) {
    return { ...present, sql: sql.replace(FUNCTION_RIGHTS, '') }
  }
  return present
}

const STORAGE_PARAMETERS = / WITH \([^)]*\)(?=;| WHERE |$)/m

/** Without what changes no outcome. */
function comparable({ kind, sql }: SchemaStatement): string {
  if (kind === 'table') return sortColumns(sql.replace(STORAGE_PARAMETERS, ''))
  return kind === 'index' ? sql.replace(STORAGE_PARAMETERS, '') : sql
}

/** The order of a table's lines means nothing; the lines of anything else follow one another. */
function findFirstDifference(
  kind: StatementKind,
  expected: string,
  found: string,
): { readonly expected: string; readonly found: string } {
  const [wanted, present] = [linesOf(expected), linesOf(found)]
  if (kind === 'table') {
    const missing = wanted.find(line => !present.includes(line))
    const surplus = present.filter(line => !wanted.includes(line))
    if (missing === undefined) return { expected: '', found: surplus[0] ?? '' }
    const [name = ''] = missing.split(' ')
    return { expected: missing, found: surplus.find(line => line.startsWith(`${name} `)) ?? '' }
  }
  const at = wanted.findIndex((line, index) => line !== present[index])
  const line = at < 0 ? wanted.length : at
  return { expected: wanted[line] ?? '', found: present[line] ?? '' }
}

function linesOf(sql: string): readonly string[] {
  return sql.split('\n').map(line => line.trim().replace(/,$/, ''))
}

interface Signature {
  readonly name: string
  readonly arguments: string
  /** With the types of the arguments alone. */
  readonly signature: string
}

const READ_SIGNATURES = `
  SELECT
    quote_ident(proname) AS name,
    pg_get_function_arguments(oid) AS arguments,
    oid::regprocedure AS signature
  FROM pg_proc
  WHERE pronamespace = quote_ident($1)::regnamespace
    AND prokind IN ('f', 'p')`

async function readSignatures(transaction: QueryRunner, schema: string): Promise<readonly Signature[]> {
  return (await transaction.query<Signature>(READ_SIGNATURES, [schema])).rows
}

function unexpectedObject(present: SchemaStatement, signatures: readonly Signature[]): SchemaDifference {
  const signature = signatures.find(each =>
    headOf(present.sql).endsWith(` ${each.name}(${each.arguments})`),
  )?.signature
  return {
    kind: 'unexpected',
    object: signature === undefined ? describeStatement(present) : `function ${signature}`,
    expected: null,
    found: present.sql,
    firstDifference: null,
    mend: mendUnexpected(present, signature),
  }
}
