import pg from 'pg'

/** A name from the catalogue as it must stand in SQL. */
export function quoteIdentifier(name: string): string {
  return pg.escapeIdentifier(name)
}
