import { TripwireStorageError } from '../errors.ts'

type ValueParser = (text: string) => unknown

const BOOL = 16
const INT2 = 21
const INT4 = 23

const PARSERS: ReadonlyMap<number, ValueParser> = new Map<number, ValueParser>([
  [BOOL, text => text === 't'],
  [INT2, Number],
  [INT4, Number],
])

/**
 * Every value that the driver would parse with a loss stays text: timestamps, 64-bit integers, numerics, JSON.
 * Passed to the driver as its type registry, so that nothing global is changed.
 */
export const rowTypes = {
  getTypeParser: (typeId: number): ValueParser => PARSERS.get(typeId) ?? (text => text),
}

/**
 * The SQL that reads a `timestamptz` column independently of the session's TimeZone and DateStyle:
 * ISO 8601 in UTC, as a JSON string. `timestampFromRow` takes it from there.
 */
export function selectTimestamp(column: string): string {
  return `to_json(${column} AT TIME ZONE 'UTC') AS ${column}`
}

const JSON_TIMESTAMP = /^"(\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?"$/

/** RFC 3339 in UTC with microseconds. A value outside its years (`infinity`, BC) is returned as PostgreSQL writes it. */
export function timestampFromRow(json: string): string {
  const match = JSON_TIMESTAMP.exec(json)
  return match ? `${match[1]}.${(match[2] ?? '').padEnd(6, '0')}Z` : json.slice(1, -1)
}

/** A `bigint` column as a number. */
export function integerFromRow(column: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) {
    throw new TripwireStorageError(
      'MALFORMED_ROW',
      `${column}: ${text} is beyond 2^53 and has no exact number`,
    )
  }
  return value
}
