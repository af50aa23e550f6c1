import { TripwireStorageError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { integerFromRow } from '../../pg/row-values.ts'
import { isBehindMoment, type JournalTransaction, type TailPosition } from './tail-position.ts'
import { parseTransactionSnapshot, type TransactionSnapshot } from './transaction-snapshot.ts'

/** How many rows of the journal are looked at in one step, at the least. The rest of their transactions comes with them. */
const MOST_ROWS = 200
/** How many spans one step brings, at the most. */
const MOST_SPANS = 500

/** Where in `alerts` those are that a transaction wrote within one hour of received_at. */
export interface JournalSpan extends JournalTransaction {
  /** Moments, as text without a zone that stands for UTC. */
  readonly oldest: string
  readonly newest: string
  /** How many there were at the most, updates included. */
  readonly alerts: number
  /** What stands in xmin of these alerts: the numbers of the transaction or of its savepoints, an array as PostgreSQL writes it. */
  readonly xmins: string
}

/** What the journal shows at one moment to a tail that stands at a position. */
export interface JournalView {
  /** The database that the numbers of transactions belong to, and which of its journals. */
  readonly identity: string
  /** False where the rows were brought from another database. */
  readonly isOwn: boolean
  /** A standby does not tell which transactions are running. */
  readonly isStandby: boolean
  readonly snapshot: TransactionSnapshot
  readonly newest: TailPosition['newest']
  /** No row with a higher number was removed. */
  readonly prunedThrough: bigint
  /** Whether all rows are there that were written from `since` of the position on. */
  readonly reachesBack: boolean
  /** Whether the database still has the transaction that the position names as its newest. */
  readonly hasNewest: boolean
  /** In the order of delivery: by the number of the transaction, then by the hour. */
  readonly spans: readonly JournalSpan[]
  /** Whether the last transaction may have more spans than these. */
  readonly isCut: boolean
  /** Whether more may follow after these. */
  readonly hasMore: boolean
}

interface JournalRow {
  readonly identity: string
  readonly isOwn: boolean
  readonly isStandby: boolean
  readonly snapshot: string
  readonly newestXid: string | null
  readonly newestWrittenAt: string | null
  readonly prunedThrough: string
  readonly reachesBack: boolean
  readonly hasNewest: boolean
  readonly rowsSeen: number
  readonly xid: string | null
  readonly writtenAt: string | null
  readonly oldest: string | null
  readonly newest: string | null
  readonly alerts: string | null
  readonly xmins: string | null
}

/** Text that is read back by `::timestamp`, whatever the session says. */
function selectMoment(expression: string): string {
  return `to_json(${expression} AT TIME ZONE 'UTC') #>> '{}'`
}

/**
 * One statement, and so one snapshot: what it sees of the journal is what pg_current_snapshot() says. OFFSET 0 keeps the planner from
 * reading the whole journal for a few transactions. Those of `open` that lie above `newest` come when their turn comes: what lies between
 * might be more than a step brings.
 */
const READ_JOURNAL = `
  WITH next_rows AS MATERIALIZED (
    SELECT xid
    FROM alert_journal
    WHERE $4::xid8 IS NULL
      AND xid > $1::xid8
      AND (
        $6::timestamp IS NULL
        OR written_at >= $6::timestamp AT TIME ZONE 'UTC'
        OR xid = ANY ($3::xid8[])
      )
    ORDER BY xid
    LIMIT ${MOST_ROWS}
  ),
  next_transactions AS MATERIALIZED (
    SELECT xid
    FROM alert_journal
    WHERE xid = ANY (CASE WHEN $4::xid8 IS NULL THEN $3::xid8[] ELSE ARRAY[$4::xid8] END)
      AND xid <= $1::xid8
    UNION
    SELECT xid
    FROM next_rows
  ),
  spans AS (
    SELECT
      next.xid,
      date_bin(INTERVAL '1 hour', journal.oldest, '2000-01-01 00:00:00+00') AS hour,
      max(journal.written_at) AS written_at,
      min(journal.oldest) AS oldest,
      max(journal.newest) AS newest,
      sum(journal.alerts) AS alerts,
      array_agg(DISTINCT journal.xmin_text) AS xmins
    FROM next_transactions AS next
    CROSS JOIN LATERAL (
      SELECT
        alert_journal.*,
        alert_journal.xmin::text AS xmin_text
      FROM alert_journal
      WHERE alert_journal.xid = next.xid
      OFFSET 0
    ) AS journal
    WHERE $5::timestamp IS NULL
      OR journal.newest > $5::timestamp AT TIME ZONE 'UTC'
      OR (journal.newest = $5::timestamp AT TIME ZONE 'UTC' AND NOT $7)
    GROUP BY 1, 2
    ORDER BY 1, 2
    LIMIT ${MOST_SPANS}
  )
  SELECT
    concat_ws('.', database.identity, state.begun_by::text) AS identity,
    state.identity IS NOT DISTINCT FROM database.identity AS "isOwn",
    pg_is_in_recovery() AS "isStandby",
    pg_current_snapshot()::text AS snapshot,
    newest.xid::text AS "newestXid",
    ${selectMoment('newest.written_at')} AS "newestWrittenAt",
    coalesce(state.pruned_through::text, '0') AS "prunedThrough",
    coalesce($6::timestamp AT TIME ZONE 'UTC' >= state.complete_since, true) AS "reachesBack",
    $2::timestamp IS NULL OR EXISTS (
      SELECT
      FROM alert_journal
      WHERE xid = $1::xid8
        AND written_at = $2::timestamp AT TIME ZONE 'UTC'
    ) AS "hasNewest",
    (SELECT count(*)::integer FROM next_rows) AS "rowsSeen",
    spans.xid::text AS xid,
    ${selectMoment('spans.written_at')} AS "writtenAt",
    ${selectMoment('spans.oldest')} AS oldest,
    ${selectMoment('spans.newest')} AS newest,
    spans.alerts::text AS alerts,
    spans.xmins::text AS xmins
  FROM (SELECT alert_journal_identity() AS identity) AS database
  LEFT JOIN alert_journal_state AS state
    ON true
  LEFT JOIN (
    SELECT
      xid,
      written_at
    FROM alert_journal
    ORDER BY xid DESC
    LIMIT 1
  ) AS newest
    ON true
  LEFT JOIN spans
    ON true
  ORDER BY
    spans.xid,
    spans.hour`

/** Before the journal was looked at for the first time. Above every number that PostgreSQL gives, so that it brings no spans. */
const NOWHERE = { newest: { xid: 2n ** 63n, writtenAt: null }, open: [], partial: null, since: null }

/** Looks into the journal from a position; without one, at its end. */
export async function readJournal(db: QueryRunner, position: TailPosition = NOWHERE): Promise<JournalView> {
  const { newest, open, partial, since } = position
  const values = [
    String(newest.xid),
    newest.writtenAt,
    open.map(String),
    partial && String(partial.xid),
    partial?.after.receivedAt ?? null,
    since,
    partial !== null && isBehindMoment(partial.after),
  ]
  const { rows } = await db.query<JournalRow>(READ_JOURNAL, values, { isRepeated: true })
  return viewOf(rows)
}

function viewOf(rows: readonly JournalRow[]): JournalView {
  const [first] = rows
  if (!first) throw new TripwireStorageError('MALFORMED_ROW', 'the journal of alerts returned nothing')
  const { identity, isOwn, isStandby, reachesBack, hasNewest, newestXid, newestWrittenAt } = first
  const prunedThrough = BigInt(first.prunedThrough)
  const spans = rows.flatMap(spanOf)
  return {
    identity,
    isOwn,
    isStandby,
    snapshot: parseTransactionSnapshot(first.snapshot),
    newest:
      newestXid === null
        ? { xid: prunedThrough, writtenAt: null }
        : { xid: BigInt(newestXid), writtenAt: newestWrittenAt },
    prunedThrough,
    reachesBack,
    hasNewest,
    spans,
    isCut: spans.length === MOST_SPANS,
    hasMore: spans.length === MOST_SPANS || first.rowsSeen === MOST_ROWS,
  }
}

function spanOf({ xid, writtenAt, oldest, newest, alerts, xmins }: JournalRow): readonly JournalSpan[] {
  if (xid === null || writtenAt === null || oldest === null || newest === null) return []
  if (alerts === null || xmins === null) return []
  return [{ xid: BigInt(xid), writtenAt, oldest, newest, alerts: integerFromRow('alerts', alerts), xmins }]
}
