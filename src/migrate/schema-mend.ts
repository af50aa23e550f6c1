/** The SQL that brings an object of the schema back to what db/schema.sql says. */
import { isIdentity, readAddedColumns, readColumns, type TableColumn } from './schema-columns.ts'
import { FUNCTION_RIGHTS, type SchemaStatement } from './schema-statement.ts'

/** Where no statement does it: a person has to look. */
function byHand({ kind, name }: SchemaStatement, reason: string): string {
  return `-- by hand, because ${reason}: make the ${kind} ${name} what it should be`
}

export function mendMissing(expected: SchemaStatement): string {
  const { kind, sql } = expected
  // Nobody shall be able to call it in between.
  if (kind === 'function' && FUNCTION_RIGHTS.test(sql)) return inTransaction(sql)
  // A partitioned index that is made for the parent alone stays invalid until every partition has one.
  if (kind === 'index') return sql.replace(' ON ONLY ', ' ON ')
  if (kind === 'trigger') return [sql, ...enableTrigger(expected)].join('\n')
  return sql
}

export function mendChanged(expected: SchemaStatement, found: SchemaStatement): string {
  switch (expected.kind) {
    case 'table':
      return mendTable(expected, found)
    case 'type':
      return mendEnum(expected, found)
    case 'constraint':
      return mendConstraint(expected, found)
    case 'index':
      return inTransaction(`DROP INDEX ${expected.name};`, mendMissing(expected))
    case 'function':
      return mendFunction(expected, found)
    case 'trigger':
      return mendTrigger(expected, found)
    case 'policy':
      return inTransaction(`DROP POLICY ${expected.name} ON ${expected.table};`, expected.sql)
    default:
      return byHand(expected, 'PostgreSQL has no statement for it')
  }
}

/** What stands where nothing is expected. A function is named with the types of its arguments. */
export function mendUnexpected(found: SchemaStatement, signature: string | undefined): string {
  switch (found.kind) {
    case 'constraint':
      return `ALTER TABLE ${found.table} DROP CONSTRAINT ${found.name};`
    case 'index':
      return `DROP INDEX ${found.name};`
    case 'trigger':
    case 'policy':
      return `DROP ${found.kind.toUpperCase()} ${found.name} ON ${found.table};`
    case 'function':
      return `DROP ROUTINE ${signature ?? found.name};`
    default:
      return byHand(found, 'nothing tells whether it is needed')
  }
}

function inTransaction(...statements: readonly string[]): string {
  return ['BEGIN;', ...statements, 'COMMIT;'].join('\n')
}

function mendFunction(expected: SchemaStatement, found: SchemaStatement): string {
  const [rights = ''] = FUNCTION_RIGHTS.exec(expected.sql) ?? []
  const isSame = withoutRights(expected) === withoutRights(found)
  if (isSame && rights !== '') return rights.trimStart()
  if (signatureOf(expected) !== signatureOf(found)) {
    return inTransaction(`DROP ROUTINE ${expected.name};`, expected.sql)
  }
  return rights === '' ? expected.sql : inTransaction(expected.sql)
}

function withoutRights({ sql }: SchemaStatement): string {
  return sql.replace(FUNCTION_RIGHTS, '')
}

/** Arguments and result: CREATE OR REPLACE cannot change them. */
function signatureOf({ sql }: SchemaStatement): string {
  return sql.split('\n LANGUAGE ')[0] ?? ''
}

/** Tails find alerts by the transaction that wrote them, and so do not find what was written anew. */
const TAILED_TABLES: ReadonlySet<string> = new Set(['alerts', 'alert_journal'])
/**
 * Before the change, which may take long: its lock may not be had within a second. And behind a lock of the table: what is written in between
 * would be written anew as well, and tails that begin then would not find it.
 */
const EXPIRE_TAILS = 'SELECT expire_alert_tails();'

/** What may write every row of a table anew. A column with a default does when that is not the same for all rows. */
const WRITES_ANEW = /^(?:ALTER COLUMN .* TYPE |ADD COLUMN .* DEFAULT |SET LOGGED$)/

/** When a trigger fires, where that is not the default. */
const FIRES = /; -- enabled: (\w)$/

const FIRING_MODES: Readonly<Record<string, string>> = {
  O: 'ENABLE TRIGGER',
  A: 'ENABLE ALWAYS TRIGGER',
  R: 'ENABLE REPLICA TRIGGER',
  D: 'DISABLE TRIGGER',
}

function setFiringMode({ name, table }: SchemaStatement, mode: string): string {
  return `ALTER TABLE ${table} ${FIRING_MODES[mode] ?? 'ENABLE TRIGGER'} ${name};`
}

/** What a trigger needs that was just made. */
function enableTrigger(expected: SchemaStatement): readonly string[] {
  const [, mode] = FIRES.exec(expected.sql) ?? []
  return mode === undefined ? [] : [setFiringMode(expected, mode)]
}

function mendTrigger(expected: SchemaStatement, found: SchemaStatement): string {
  const isSame = expected.sql.replace(FIRES, ';') === found.sql.replace(FIRES, ';')
  if (isSame) return setFiringMode(expected, FIRES.exec(expected.sql)?.[1] ?? 'O')
  return inTransaction(`DROP TRIGGER ${expected.name} ON ${expected.table};`, mendMissing(expected))
}

const NOT_VALID = / NOT VALID;/
const SWITCHED_OFF = /; -- switched off on (.*)$/

function mendConstraint(expected: SchemaStatement, found: SchemaStatement): string {
  const [, tables] = SWITCHED_OFF.exec(found.sql) ?? []
  const switchOn = (tables ?? '')
    .split(', ')
    .filter(table => table !== '')
    .map(table => `ALTER TABLE ${table} ENABLE TRIGGER ALL;`)
  const rest = found.sql.replace(SWITCHED_OFF, ';')
  if (rest === expected.sql) return switchOn.join('\n')
  const mend =
    rest.replace(NOT_VALID, ';') === expected.sql
      ? [`ALTER TABLE ${expected.table} VALIDATE CONSTRAINT ${expected.name};`]
      : [`ALTER TABLE ${expected.table} DROP CONSTRAINT ${expected.name};`, expected.sql]
  return inTransaction(...mend, ...switchOn)
}

function mendEnum(expected: SchemaStatement, found: SchemaStatement): string {
  const present = labelsOf(found)
  const labels = labelsOf(expected)
  const missing = labels.filter(label => !present.includes(label))
  if (present.some(label => !labels.includes(label)) || missing.length === 0) {
    return byHand(expected, 'PostgreSQL cannot take a value out of an enum')
  }
  return missing.map(label => `ALTER TYPE ${expected.name} ADD VALUE ${label};`).join('\n')
}

function labelsOf({ sql }: SchemaStatement): readonly string[] {
  return sql.match(/'(?:[^']|'')*'/g) ?? []
}

function mendTable(expected: SchemaStatement, found: SchemaStatement): string {
  const table = expected.name
  const wanted = readColumns(expected.sql)
  const present = readColumns(found.sql)
  const changes = [
    ...wanted.flatMap(column => {
      const same = present.find(({ name }) => name === column.name)
      return same ? changeColumn(column, same) : [`ADD COLUMN ${column.name} ${column.definition}`]
    }),
    // What is in it is the operator's.
    ...readAddedColumns(found.sql, expected.sql).hindering.flatMap(column => [
      ...(isIdentity(column) ? [`ALTER COLUMN ${column.name} DROP IDENTITY`] : []),
      `ALTER COLUMN ${column.name} DROP NOT NULL`,
    ]),
    ...(found.sql.startsWith('CREATE UNLOGGED') ? ['SET LOGGED'] : []),
    ...(found.sql.includes('ENABLE ROW LEVEL SECURITY') ? ['DISABLE ROW LEVEL SECURITY'] : []),
  ]
  if (changes.length === 0 || changes.includes(undefined)) {
    return byHand(expected, 'PostgreSQL cannot change it where it stands')
  }
  const statement = `ALTER TABLE ${table}\n    ${changes.join(',\n    ')};`
  const writesAnew = changes.some(change => change !== undefined && WRITES_ANEW.test(change))
  if (!TAILED_TABLES.has(table) || !writesAnew) return statement
  return inTransaction(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE;`, EXPIRE_TAILS, statement)
}

/** @returns `undefined` where PostgreSQL has no statement for the change. */
function changeColumn(wanted: TableColumn, present: TableColumn): readonly (string | undefined)[] {
  const { name } = wanted
  const changes: (string | undefined)[] = []
  if (wanted.generated !== present.generated || wanted.collation !== present.collation)
    changes.push(undefined)
  if (wanted.type !== present.type) {
    // A default of the other type may have no cast.
    if (present.defaultTo !== undefined) changes.push(`ALTER COLUMN ${name} DROP DEFAULT`)
    changes.push(`ALTER COLUMN ${name} TYPE ${wanted.type} USING ${name}::${wanted.type}`)
  }
  if (wanted.notNull !== present.notNull) {
    changes.push(`ALTER COLUMN ${name} ${wanted.notNull ? 'SET' : 'DROP'} NOT NULL`)
  }
  if (wanted.defaultTo !== present.defaultTo || (wanted.type !== present.type && wanted.defaultTo)) {
    const change = wanted.defaultTo === undefined ? 'DROP DEFAULT' : `SET DEFAULT ${wanted.defaultTo}`
    changes.push(`ALTER COLUMN ${name} ${change}`)
  }
  return changes
}
