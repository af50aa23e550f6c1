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

/** The same statement without columns that another does not have and that are in nobody's way. */
export function withoutOptionalColumns(createTable: string, other: string): string {
  const optional = new Set(readAddedColumns(createTable, other).optional.map(({ name }) => name))
  return createTable.replace(BODY, (whole, body: string) =>
    whole.replace(body, () =>
      body
        .split(',\n')
        .filter(line => !optional.has(readColumn(line)?.name ?? ''))
        .join(',\n'),
    ),
  )
}

interface AddedColumns {
  readonly optional: readonly TableColumn[]
  /** A row that names no value for it is refused, or a partition cannot be made as a table of its own. */
  readonly hindering: readonly TableColumn[]
}

/** The columns that another statement for the same table does not have. */
export function readAddedColumns(createTable: string, other: string): AddedColumns {
  const wanted = new Set(readColumns(other).map(({ name }) => name))
  const isPartitioned = createTable.includes('\n) PARTITION BY ')
  const isHindering = (column: TableColumn) =>
    (isPartitioned && isIdentity(column)) ||
    (column.notNull && column.defaultTo === undefined && column.generated === undefined)
  const added = readColumns(createTable).filter(({ name }) => !wanted.has(name))
  return {
    optional: added.filter(column => !isHindering(column)),
    hindering: added.filter(isHindering),
  }
}

export function isIdentity({ generated }: TableColumn): boolean {
  return generated?.endsWith(' AS IDENTITY') ?? false
}
