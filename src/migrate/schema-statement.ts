/** The statements of a schema snapshot, and what each of them makes. */

export type StatementKind =
  | 'type'
  | 'table'
  | 'partition'
  | 'constraint'
  | 'index'
  | 'function'
  | 'trigger'
  | 'policy'
  /** Views, sequences, domains and comments, of which the migrations make none. */
  | 'other'

export interface SchemaStatement {
  readonly kind: StatementKind
  /** As it stands in SQL. */
  readonly name: string
  /** The table that it belongs to; for a table, the table itself. */
  readonly table: string | undefined
  readonly sql: string
}

/** The end of a function that not everybody may call. */
export const FUNCTION_RIGHTS = /\nREVOKE EXECUTE ON ROUTINE [^\n]* FROM PUBLIC;$/

const NAME = String.raw`("(?:[^"]|"")*"|[^\s"(),;]+)`

interface StatementForm {
  readonly kind: StatementKind
  readonly form: RegExp
  /** Which group holds the name of its own, and which that of the table. */
  readonly nameAt: number
  readonly tableAt?: number
}

const FORMS: readonly StatementForm[] = [
  { kind: 'type', form: pattern('CREATE TYPE NAME AS'), nameAt: 1 },
  {
    kind: 'partition',
    form: pattern('CREATE (?:UNLOGGED )?TABLE NAME PARTITION OF'),
    nameAt: 1,
    tableAt: 1,
  },
  { kind: 'table', form: pattern(String.raw`CREATE (?:UNLOGGED )?TABLE NAME \(`), nameAt: 1, tableAt: 1 },
  {
    kind: 'constraint',
    form: pattern(String.raw`ALTER TABLE NAME\s+ADD CONSTRAINT NAME `),
    nameAt: 2,
    tableAt: 1,
  },
  {
    kind: 'index',
    form: pattern('CREATE (?:UNIQUE )?INDEX NAME ON (?:ONLY )?NAME '),
    nameAt: 1,
    tableAt: 2,
  },
  { kind: 'function', form: pattern(String.raw`CREATE OR REPLACE (?:FUNCTION|PROCEDURE) NAME\(`), nameAt: 1 },
  {
    kind: 'trigger',
    form: pattern(String.raw`CREATE (?:CONSTRAINT )?TRIGGER NAME\s+.*? ON NAME(?:\s|$)`),
    nameAt: 1,
    tableAt: 2,
  },
  { kind: 'policy', form: pattern('CREATE POLICY NAME ON NAME '), nameAt: 1, tableAt: 2 },
]

function pattern(text: string): RegExp {
  return new RegExp(`^${text.replaceAll('NAME', NAME)}`, 's')
}

/** Tells what a statement of a snapshot makes. */
export function readStatement(sql: string): SchemaStatement {
  for (const { kind, form, nameAt, tableAt } of FORMS) {
    const found = form.exec(sql)
    const name = found?.[nameAt]
    if (!found || name === undefined) continue
    return { kind, name, table: tableAt === undefined ? undefined : found[tableAt], sql }
  }
  return { kind: 'other', name: sql, table: undefined, sql }
}

/** Such as `index idx_rules_host_id` or `constraint fk_rules_host on tripwire_rules`. Functions may share it. */
export function describeStatement({ kind, name, table }: SchemaStatement): string {
  const isNamedInTable = kind === 'constraint' || kind === 'trigger' || kind === 'policy'
  return isNamedInTable ? `${kind} ${name} on ${table}` : `${kind} ${name}`
}

/** Splits the text of a snapshot into its statements. */
export function readStatements(text: string): readonly SchemaStatement[] {
  const statements: string[] = []
  let open: string | undefined
  for (const block of text.trimEnd().split('\n\n')) {
    if (open === undefined && block.startsWith('--')) continue
    const statement: string = open === undefined ? block : `${open}\n\n${block}`
    open = isWhole(statement) ? undefined : statement
    if (open === undefined) statements.push(statement)
  }
  return statements.map(readStatement)
}

/** The body of a function may hold empty lines. PostgreSQL ends it with the mark that it begins with. */
function isWhole(statement: string): boolean {
  const [, mark] = /\nAS (\$\w*\$)/.exec(statement) ?? []
  return mark === undefined || statement.replace(FUNCTION_RIGHTS, '').endsWith(`${mark};`)
}
