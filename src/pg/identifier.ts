import pg from 'pg'

/** In PostgreSQL, a name has so many bytes. */
const LONGEST_NAME = 63

/** A name from the catalogue as it must stand in SQL. */
export function quoteIdentifier(name: string): string {
  return pg.escapeIdentifier(name)
}

/** The name of an index, of a table, its columns and a label. One that is too long is cut in the longer of the first two, as PostgreSQL does it. */
export function joinName(table: string, columns: string, label: string): string {
  const start = [...table]
  const middle = [...columns]
  const joined = () => [start.join(''), middle.join(''), label].filter(part => part !== '').join('_')
  while (Buffer.byteLength(joined()) > LONGEST_NAME) {
    const isStartLonger = Buffer.byteLength(start.join('')) > middle.length
    if (isStartLonger) start.pop()
    else middle.pop()
  }
  return joined()
}
