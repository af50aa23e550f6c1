import { timestampFromRow } from '../../pg/row-values.ts'

/** A row of the log in the text forms of docs/audit-chain.md. What is SQL NULL is empty, and is no such form. */
export interface AuditRow {
  readonly hostId: string
  /** `undefined`: NULL, or no whole number. */
  readonly sequenceNum: bigint | undefined
  readonly entryId: string
  readonly createdAt: string
  readonly prevHash: string
  readonly eventHash: string
  /** Whether there is a row hash at all. An empty one is one that was altered, and not the absence of one. */
  readonly hasRowHash: boolean
  readonly rowHash: string
  readonly version: string
  /** As PostgreSQL prints it. */
  readonly payload: string
  /** Whether a column holds a line feed, so that it cannot be told where the columns end. */
  readonly isTorn: boolean
}

/** Before a row hash that is there, so that an empty one can be told from none. */
const ROW_HASH_MARK = '='
/** Larger than every `bigint`; a column of another type may hold anything. */
const SEQUENCE = /^-?\d{1,40}$/

/**
 * One text a row: it takes the driver less time than nine columns. `jsonb` has no line feed in its text, hashes have
 * none, and nor have the other types; a row with another number of lines was tampered with. The first two columns cannot hold
 * one, so host and number are always found. The table goes by the name of `entry`.
 */
export const AUDIT_LINE = `
  concat_ws(
    chr(10),
    coalesce(entry.host_id::text, ''),
    coalesce(entry.sequence_num::text, ''),
    coalesce(entry.entry_id::text, ''),
    coalesce(to_json(entry.created_at AT TIME ZONE 'UTC')::text, ''),
    coalesce(entry.prev_hash::text, ''),
    coalesce(entry.event_hash::text, ''),
    coalesce('${ROW_HASH_MARK}' || entry.row_hash::text, ''),
    coalesce(entry.hash_version::text, ''),
    coalesce(entry.payload::text, '')
  )`

const UUID_LENGTH = 36
/** `"2026-03-01T10:00:00.123456"` */
const WHOLE_TIME_LENGTH = 28
const YEAR_END = 5

/** Whether two lines are of the same host. A row without a host has an empty one. */
export function isOfHost(line: string, hostId: string): boolean {
  return line.startsWith(hostId) && line.charCodeAt(hostId.length) === 0x0a
}

export function hostOf(line: string): string {
  return line.charCodeAt(UUID_LENGTH) === 0x0a
    ? line.slice(0, UUID_LENGTH)
    : line.slice(0, line.indexOf('\n'))
}

export function parseAuditLine(line: string): AuditRow {
  const host = line.indexOf('\n')
  const sequence = line.indexOf('\n', host + 1)
  const entry = line.indexOf('\n', sequence + 1)
  const time = line.indexOf('\n', entry + 1)
  const prev = line.indexOf('\n', time + 1)
  const event = line.indexOf('\n', prev + 1)
  const row = line.indexOf('\n', event + 1)
  const version = line.indexOf('\n', row + 1)
  return {
    hostId: line.slice(0, host),
    sequenceNum: sequenceFromLine(line.slice(host + 1, sequence)),
    entryId: line.slice(sequence + 1, entry),
    createdAt: timeFromLine(line.slice(entry + 1, time)),
    prevHash: line.slice(time + 1, prev),
    eventHash: line.slice(prev + 1, event),
    hasRowHash: row > event + 1,
    rowHash: line.slice(event + 1 + ROW_HASH_MARK.length, Math.max(row, event + 1 + ROW_HASH_MARK.length)),
    version: line.slice(row + 1, version),
    payload: line.slice(version + 1),
    isTorn: line.includes('\n', version + 1),
  }
}

function sequenceFromLine(text: string): bigint | undefined {
  return SEQUENCE.test(text) ? BigInt(text) : undefined
}

/** Nearly all times have six digits, and a year of four. */
function timeFromLine(json: string): string {
  if (json.length === WHOLE_TIME_LENGTH && json.charCodeAt(YEAR_END) === 0x2d) return `${json.slice(1, -1)}Z`
  return json === '' ? '' : timestampFromRow(json)
}
