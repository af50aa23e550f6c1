import type pg from 'pg'
import { TripwireStorageError } from '../errors.ts'
import { fromDriver } from './driver-error.ts'
import type { QueryResult, SqlValue } from './sql-value.ts'

/** @param name under which the server keeps the statement on this connection. */
export async function runQuery<Row extends object>(
  target: pg.Pool | pg.PoolClient,
  sql: string,
  values: readonly SqlValue[],
  name?: string,
): Promise<QueryResult<Row>> {
  try {
    const query = name === undefined ? { text: sql } : { text: sql, name }
    const result = await target.query<Row>({ ...query, values: [...values] })
    return { rows: result.rows, rowCount: result.rowCount ?? 0 }
  } catch (error) {
    throw fromDriver(error)
  }
}

export async function runScript(target: pg.Pool | pg.PoolClient, sql: string): Promise<void> {
  try {
    await target.query(sql)
  } catch (error) {
    throw fromDriver(error)
  }
}

/** COMMIT of a transaction that failed answers ROLLBACK, without an error. */
export async function commit(client: pg.PoolClient): Promise<void> {
  const result = await client.query('COMMIT').catch((error: unknown) => {
    throw fromDriver(error)
  })
  if (result.command !== 'COMMIT') {
    throw new TripwireStorageError('QUERY_FAILED', 'the transaction had failed, so COMMIT rolled it back')
  }
}
