import { TripwireStorageError } from '../../errors.ts'
import type { QueryResult, QueryRunner } from '../../pg/database.ts'
import { ALERT_LINE } from './alert-line.ts'
import { type Content, ContentDigest } from './content-digest.ts'
import { Pace } from './pace.ts'

/**
 * Together they bound what is in memory: 2 MiB, and one line that is longer. And how long a page keeps a core of the server and
 * of the client from those who insert: some 2 ms; 512 rows took 7 ms.
 */
const PAGE_ROWS = 128
const LONGEST_FETCHED_BYTES = 16_384

export interface ReadLinesOptions {
  /** Looked at between two pages. */
  readonly signal?: AbortSignal | undefined
  /** See `Pace`. Defaults to 0. */
  readonly pauseShare?: number | undefined
}

interface FetchedRow {
  readonly short_line: string | null
  /** Where the row stands whose line is too long to be fetched with others. */
  readonly long_line_at: string | null
}

interface PageRow extends FetchedRow {
  readonly key_moment: string
  readonly key_id: string
}

const FETCHED_COLUMNS = `
    CASE WHEN octet_length(line) <= ${LONGEST_FETCHED_BYTES} THEN line END AS short_line,
    CASE WHEN octet_length(line) > ${LONGEST_FETCHED_BYTES} THEN place END AS long_line_at`

/** The inner query makes each line once. */
const LINE_COLUMNS = `
      ctid AS place,
      received_at,
      alert_id,
      host_id,
      (${ALERT_LINE}
      ) COLLATE "C" AS line`

/** One that the rows alone decide, whatever the collation of the database. */
const ORDER = 'received_at, alert_id, host_id, line'

/**
 * The alerts after the last one of a page, by the index of (received_at, alert_id). With all that share the last ones of these:
 * a page is cut nowhere else. Without parameters, because the portal of such a statement keeps its snapshot until the next one.
 */
function selectPage(table: string, last: PageRow | undefined): string {
  const after = last
    ? `(received_at, alert_id) > ('${last.key_moment}'::timestamp AT TIME ZONE 'UTC', '${last.key_id}')`
    : 'true'
  return `
  SELECT${FETCHED_COLUMNS},
    to_json(received_at AT TIME ZONE 'UTC') #>> '{}' AS key_moment,
    alert_id AS key_id
  FROM (
    SELECT${LINE_COLUMNS}
    FROM ${table}
    WHERE ${after}
    ORDER BY received_at, alert_id
    FETCH FIRST ${PAGE_ROWS} ROWS WITH TIES
  ) AS lines
  ORDER BY ${ORDER}`
}

const HAS_KEY_INDEX = `
  SELECT EXISTS (
    SELECT
    FROM pg_index
    WHERE indrelid = $1::regclass
      AND indisvalid
      AND indpred IS NULL
      AND pg_get_indexdef(indexrelid) LIKE '%USING btree (received_at, alert_id%'
  ) AS present`

const CURSOR = 'alert_lines'

/** The outer query asks for the order that the inner one has already. */
function declareLines(table: string): string {
  return `
  DECLARE ${CURSOR} NO SCROLL CURSOR FOR
  SELECT${FETCHED_COLUMNS}
  FROM (
    SELECT${LINE_COLUMNS}
    FROM ${table}
    ORDER BY ${ORDER}
  ) AS lines
  ORDER BY ${ORDER}`
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
 * The lines of all alerts of a table, each with its line feed, in the order of (received_at, alert_id, host_id, line),
 * a page at a time. To be read to its end, or the transaction to be rolled back: a cursor may stay open otherwise.
 *
 * Needs a transaction that sees the same rows all along. Under a lock that holds off writers, and READ COMMITTED, each page has a
 * snapshot of its own, so VACUUM goes on in the rest of the database. A table that lost its index of (received_at, alert_id) is
 * read through a cursor, with one snapshot: each page would sort all of it.
 */
export async function* readTableLines(
  transaction: QueryRunner,
  table: string,
  { signal, pauseShare = 0 }: ReadLinesOptions = {},
): AsyncGenerator<Buffer> {
  const { rows } = await transaction.query<{ present: boolean }>(HAS_KEY_INDEX, [table])
  const read = rows[0]?.present ? readPages : readCursor
  const pace = new Pace(pauseShare)
  signal?.throwIfAborted()
  for await (const page of read(transaction, table)) {
    yield* linesOf(transaction, table, page)
    await pace.rest(signal)
    signal?.throwIfAborted()
  }
}

async function* readPages(transaction: QueryRunner, table: string): AsyncGenerator<readonly FetchedRow[]> {
  let last: PageRow | undefined
  for (;;) {
    const { rows }: QueryResult<PageRow> = await transaction.query<PageRow>(selectPage(table, last))
    yield rows
    if (rows.length < PAGE_ROWS) return
    last = rows.at(-1)
  }
}

async function* readCursor(transaction: QueryRunner, table: string): AsyncGenerator<readonly FetchedRow[]> {
  await transaction.runScript(declareLines(table))
  for (;;) {
    const { rows } = await transaction.query<FetchedRow>(`FETCH ${PAGE_ROWS} FROM ${CURSOR}`)
    yield rows
    if (rows.length < PAGE_ROWS) break
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
