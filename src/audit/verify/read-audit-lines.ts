import { TripwireStorageError } from '../../errors.ts'
import type { QueryRunner, SqlValue } from '../../pg/database.ts'
import { AUDIT_LINE } from './audit-row.ts'

/** Together they bound what is in memory: twice 4 MiB, and one line that is longer. */
const FETCH_ROWS = 512
const LONGEST_FETCHED_BYTES = 8192
/** JavaScript holds no text of 512 MiB. */
const LONGEST_LINE_BYTES = 268_435_456

const CURSOR = 'audit_lines'
/** No host begins like this. */
const LONG_LINE = '@'

/** Which rows are read. */
export interface AuditRowSource {
  /** SQL: what stands after FROM, with `entry` as the table of the log. */
  readonly from: string
  readonly values: readonly SqlValue[]
}

export const ALL_CHAINS: AuditRowSource = { from: 'audit_entries AS entry', values: [] }

/** A part of a chain, both numbers included. */
export function rangeOf(hostId: string, from: string, to: string): AuditRowSource {
  return {
    from: 'audit_entries AS entry WHERE entry.host_id = $1 AND entry.sequence_num BETWEEN $2 AND $3',
    values: [hostId, from, to],
  }
}

export function chainOf(hostId: string): AuditRowSource {
  return { from: 'audit_entries AS entry WHERE entry.host_id = $1', values: [hostId] }
}

/**
 * The inner query makes each line once, in the order that the outer one asks for. A line that is too long to be fetched
 * with others is fetched alone, by its place.
 */
function declareLines(from: string): string {
  return `
  DECLARE ${CURSOR} NO SCROLL CURSOR FOR
  SELECT
    CASE
      WHEN octet_length(line) <= ${LONGEST_FETCHED_BYTES} THEN line
      ELSE concat_ws(' ', '${LONG_LINE}', table_id, place, octet_length(line))
    END AS line
  FROM (
    SELECT
      entry.host_id,
      entry.sequence_num,
      entry.tableoid AS table_id,
      entry.ctid AS place,
      ${AUDIT_LINE} AS line
    FROM ${from}
    ORDER BY host_id, sequence_num
  ) AS lines
  ORDER BY host_id, sequence_num`
}

const SELECT_LINE = `
  SELECT ${AUDIT_LINE} AS line
  FROM audit_entries AS entry
  WHERE tableoid = $1::oid
    AND ctid = $2::tid`

interface LineRow {
  readonly line: string
}

export interface ReadAuditLinesOptions {
  readonly signal?: AbortSignal | undefined
  /** Called with each batch while the connection is free. */
  readonly prepare?: ((lines: readonly string[]) => Promise<void>) | undefined
}

/**
 * The rows of the log as lines, in the order of hosts and numbers, some hundreds at a time. The server works on the next ones
 * while the caller has these. Needs a transaction that sees the same rows all along: REPEATABLE READ.
 */
export async function* readAuditLines(
  transaction: QueryRunner,
  { from, values }: AuditRowSource,
  { signal, prepare }: ReadAuditLinesOptions = {},
): AsyncGenerator<readonly string[]> {
  await transaction.query(declareLines(from), values)
  const fetchLines = () => transaction.query<LineRow>(`FETCH ${FETCH_ROWS} FROM ${CURSOR}`)
  let fetched = fetchLines()
  try {
    for (;;) {
      signal?.throwIfAborted()
      const { rows } = await fetched
      const lines = rows.map(row => row.line)
      const isLast = rows.length < FETCH_ROWS
      if (isLast || lines.some(isMarker)) {
        // The connection is free meanwhile: what is long is fetched when its turn comes, and is alone in memory.
        for await (const some of wholeLines(transaction, lines)) {
          await prepare?.(some)
          yield some
        }
        if (isLast) break
        fetched = fetchLines()
        fetched.catch(() => undefined)
        continue
      }
      await prepare?.(lines)
      fetched = fetchLines()
      // It is awaited in the next round. Should the caller wait for something else meanwhile, nobody listens.
      fetched.catch(() => undefined)
      yield lines
    }
  } finally {
    // The caller may have failed meanwhile, and the connection must be free for its next statement.
    await fetched.catch(() => undefined)
  }
  await transaction.runScript(`CLOSE ${CURSOR}`)
}

function isMarker(line: string): boolean {
  return line.startsWith(LONG_LINE)
}

/** The lines in their order, each long one by itself. */
async function* wholeLines(
  transaction: QueryRunner,
  lines: readonly string[],
): AsyncGenerator<readonly string[]> {
  let short: string[] = []
  for (const line of lines) {
    if (!isMarker(line)) {
      short.push(line)
      continue
    }
    if (short.length > 0) yield short
    short = []
    yield [await readLongLine(transaction, line)]
  }
  if (short.length > 0) yield short
}

async function readLongLine(transaction: QueryRunner, marker: string): Promise<string> {
  const [, tableId = '', place = '', bytes = ''] = marker.split(' ')
  if (Number(bytes) > LONGEST_LINE_BYTES)
    throw new TripwireStorageError('MALFORMED_ROW', `an audit entry of ${bytes} bytes is too long to be read`)
  const { rows } = await transaction.query<LineRow>(SELECT_LINE, [tableId, place])
  const [row] = rows
  if (row) return row.line
  throw new TripwireStorageError('MALFORMED_ROW', 'an audit entry is not where it was found')
}
