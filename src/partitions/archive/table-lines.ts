import { TripwireStorageError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { ALERT_LINE } from './alert-line.ts'
import { type Content, ContentDigest } from './content-digest.ts'
import { Pace } from './pace.ts'

/** Together they bound what is in memory: 8 MiB, and one line that is longer. */
const FETCH_ROWS = 512
const LONGEST_FETCHED_BYTES = 16_384

export interface ReadLinesOptions {
  /** Looked at between two fetches. */
  readonly signal?: AbortSignal | undefined
  /** See `Pace`. Defaults to 0. */
  readonly pauseShare?: number | undefined
}

interface FetchedRow {
  readonly short_line: string | null
  /** Where the row stands whose line is too long to be fetched with others. */
  readonly long_line_at: string | null
}

const CURSOR = 'alert_lines'

/**
 * In an order that the rows alone decide, whatever the collation of the database. The inner query makes each line once; the
 * outer one asks for the order that it has already.
 */
function declareLines(table: string): string {
  return `
  DECLARE ${CURSOR} NO SCROLL CURSOR FOR
  SELECT
    CASE WHEN octet_length(line) <= ${LONGEST_FETCHED_BYTES} THEN line END AS short_line,
    CASE WHEN octet_length(line) > ${LONGEST_FETCHED_BYTES} THEN place END AS long_line_at
  FROM (
    SELECT
      ctid AS place,
      received_at,
      alert_id,
      host_id,
      (${ALERT_LINE}
      ) COLLATE "C" AS line
    FROM ${table}
    ORDER BY received_at, alert_id, host_id, line
  ) AS lines
  ORDER BY received_at, alert_id, host_id, line`
}

interface LongLine {
  readonly line: string | null
}

function selectLine(table: string): string {
  return `
  SELECT ${ALERT_LINE} AS line
  FROM ${table}
  WHERE ctid = $1::tid`
}

/**
 * The lines of all alerts of a table, each with its line feed, in the order of (received_at, alert_id, host_id, line), some
 * hundreds at a time. To be read to its end, or the transaction to be rolled back: the cursor stays open otherwise.
 *
 * Needs a transaction that sees the same rows all along: REPEATABLE READ, or a lock that holds off writers.
 */
export async function* readTableLines(
  transaction: QueryRunner,
  table: string,
  { signal, pauseShare = 0 }: ReadLinesOptions = {},
): AsyncGenerator<Buffer> {
  const pace = new Pace(pauseShare)
  await transaction.runScript(declareLines(table))
  for (;;) {
    signal?.throwIfAborted()
    const { rows } = await transaction.query<FetchedRow>(`FETCH ${FETCH_ROWS} FROM ${CURSOR}`)
    yield* linesOf(transaction, table, rows)
    if (rows.length < FETCH_ROWS) break
    await pace.rest(signal)
  }
  await transaction.runScript(`CLOSE ${CURSOR}`)
}

async function* linesOf(
  transaction: QueryRunner,
  table: string,
  rows: readonly FetchedRow[],
): AsyncGenerator<Buffer> {
  let lines: string[] = []
  for (const row of rows) {
    if (row.long_line_at === null) {
      lines.push(requireLine(table, row.short_line))
      continue
    }
    if (lines.length > 0) yield joined(lines)
    lines = []
    const found = await transaction.query<LongLine>(selectLine(table), [row.long_line_at])
    yield joined([requireLine(table, found.rows[0]?.line ?? null)])
  }
  if (lines.length > 0) yield joined(lines)
}

function joined(lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join('\n')}\n`)
}

function requireLine(table: string, line: string | null): string {
  if (line === null)
    throw new TripwireStorageError('MALFORMED_ROW', `${table} holds an alert with an empty column`)
  return line
}

/** The digest of the lines that a table would give. */
export async function digestTable(
  transaction: QueryRunner,
  table: string,
  options: ReadLinesOptions = {},
): Promise<Content> {
  const digest = new ContentDigest()
  for await (const lines of readTableLines(transaction, table, options)) digest.add(lines)
  return digest.finish()
}
