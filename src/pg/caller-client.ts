import { DatabaseError, InvalidInputError, TripwireStorageError } from '../errors.ts'
import type { QueryRunner } from './database.ts'
import { fromDriver } from './driver-error.ts'

/** A connection of the caller: of another copy of the driver, or of another driver. */
export interface CallerClient {
  query(text: string, values: string[]): Promise<{ readonly rows: readonly object[] }>
}

const SQLSTATE_FORM = /^[0-9A-Z]{5}$/

/**
 * Runs statements on a connection of the caller. They must select text alone and take text alone, because the caller's client
 * parses types in its own way.
 * @throws DatabaseError for what the server refused. What else the client throws passes through.
 */
export function runnerOfCaller(field: string, client: CallerClient): QueryRunner {
  return {
    async query<Row extends object>(sql: string, values: readonly unknown[] = []) {
      const { rows } = await client.query(sql, values.map(String)).catch((error: unknown) => {
        throw fromForeignDriver(error)
      })
      if (!holdTextAlone<Row>(rows)) {
        throw new InvalidInputError(field, client, 'a client that returns text as strings')
      }
      return { rows, rowCount: rows.length }
    },
    async runScript(sql) {
      await client.query(sql, []).catch((error: unknown) => {
        throw fromForeignDriver(error)
      })
    },
  }
}

function holdTextAlone<Row extends object>(rows: readonly object[]): rows is readonly Row[] {
  return (
    Array.isArray(rows) &&
    rows.every(row => Object.values(row).every(value => value === null || typeof value === 'string'))
  )
}

/** The error of a server carries its SQLSTATE as `code`, with every driver; a code such as ECONNRESET is longer. */
function fromForeignDriver(error: unknown): unknown {
  const known = error instanceof Error ? fromDriver(error) : error
  if (!(error instanceof Error) || error instanceof TripwireStorageError) return error
  if (known instanceof DatabaseError && known.sqlState !== undefined) return known
  const sqlState: unknown = Reflect.get(error, 'code')
  if (typeof sqlState !== 'string' || !SQLSTATE_FORM.test(sqlState)) return error
  const constraint: unknown = Reflect.get(error, 'constraint')
  return new DatabaseError('QUERY_FAILED', error.message, {
    cause: error,
    sqlState,
    constraint: typeof constraint === 'string' ? constraint : undefined,
  })
}
