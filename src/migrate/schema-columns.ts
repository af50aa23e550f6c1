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
  return body.split(',\n').flatMap(line => {
    const [, name, definition, type, collation, notNull, defaultTo, generated] = COLUMN.exec(line) ?? []
    if (name === undefined || definition === undefined || type === undefined) return []
    return [{ name, definition, type, collation, notNull: notNull !== undefined, defaultTo, generated }]
  })
}

/** The same statement with its columns in the order of their names: no statement of ours depends on their order. */
export function sortColumns(createTable: string): string {
  return createTable.replace(BODY, (whole, body: string) =>
    whole.replace(body, () => body.split(',\n').sort().join(',\n')),
  )
}
