import { expect, it } from 'vitest'
import { DatabaseError, isRetryable, OverloadedError, Store, TripwireStorageError } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { rejection } from './fixtures.ts'

const database = useTestDatabase()

it.each([
  ['an overloaded store', new OverloadedError(1, 1), true],
  ['a lost connection', new DatabaseError('CONNECTION_FAILED', 'lost', {}), true],
  ['a deadlock', new DatabaseError('QUERY_FAILED', 'deadlock', { sqlState: '40P01' }), true],
  ['a full disk of the server', new DatabaseError('QUERY_FAILED', 'full', { sqlState: '53100' }), true],
  ['a full spool', new TripwireStorageError('SPOOL_FULL', 'full'), true],
  ['a wrong password', new DatabaseError('CONNECTION_FAILED', 'no', { sqlState: '28P01' }), false],
  ['bad input', new TripwireStorageError('INVALID_INPUT', 'no'), false],
  ['an error of somebody else', new Error('ECONNRESET'), false],
])('%s: %#', (_, error, expected) => {
  expect(isRetryable(error)).toBe(expected)
})

it('a database that does not exist is not worth another try, a port that nobody listens on is', async () => {
  // PgBouncer gives this another SQLSTATE, that of a protocol violation.
  const url = new URL(database.directConnectionString)
  url.pathname = '/no_such_database'
  expect(isRetryable(await rejection(Store.open({ connectionString: url.toString() })))).toBe(false)
  const closed = 'postgres://u@127.0.0.1:1/x'
  expect(isRetryable(await rejection(Store.open({ connectionString: closed })))).toBe(true)
})
