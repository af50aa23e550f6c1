/** What a statement takes as a parameter. Arrays become PostgreSQL arrays, so their length adds no parameters. */
export type SqlValue = string | number | boolean | null | readonly (string | null)[]

export interface QueryResult<Row> {
  readonly rows: readonly Row[]
  readonly rowCount: number
}
