/** The columns in the CREATE TABLE of a schema snapshot: one a line. */
export interface TableColumn {
  readonly name: string
  /** Everything after the name. */
  readonly definition: string
  readonly type: string
  readonly collation: string | undefined
  readonly notNull: boolean
  readonly defaultTo: string | undefined
  readonly generated: string | undefined
}

const BODY = /^CREATE (?:UNLOGGED )?TABLE [^\n]*\(\n(.*?)\n\)/s
const COLUMN =
  /^ {4}("(?:[^"]|"")*"|\S+) (((?:(?! COLLATE | NOT NULL| DEFAULT | GENERATED ).)+)(?: COLLATE (\S+))?( NOT NULL)?(?: DEFAULT (.*)| GENERATED (.*))?)$/s

export function readColumns(createTable: string): readonly TableColumn[] {
  const [, body = ''] = BODY.exec(createTable) ?? []
  return body.split(',\n').flatMap(line => readColumn(line) ?? [])
}

function readColumn(line: string): TableColumn | undefined {
  const [, name, definition, type, collation, notNull, defaultTo, generated] = COLUMN.exec(line) ?? []
  if (name === undefined || definition === undefined || type === undefined) return undefined
  return { name, definition, type, collation, notNull: notNull !== undefined, defaultTo, generated }
}

/** The same statement with its columns in the order of their names: no statement of ours depends on their order. */
export function sortColumns(createTable: string): string {
  return createTable.replace(BODY, (whole, body: string) =>
    whole.replace(body, () => body.split(',\n').sort().join(',\n')),
  )
}

/** The same statement without columns that another does not have and that a row needs no value for. */
export function withoutOptionalColumns(createTable: string, other: string): string {
  const wanted = new Set(readColumns(other).map(({ name }) => name))
  return createTable.replace(BODY, (whole, body: string) =>
    whole.replace(body, () =>
      body
        .split(',\n')
        .filter(line => {
          const column = readColumn(line)
          return column === undefined || wanted.has(column.name) || isNeeded(column)
        })
        .join(',\n'),
    ),
  )
}

/** Whether a row is refused that names no value for it. */
export function isNeeded({ notNull, defaultTo, generated }: TableColumn): boolean {
  return notNull && defaultTo === undefined && generated === undefined
}
