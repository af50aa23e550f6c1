import type { QueryRunner } from '../../pg/database.ts'
import { STORED_LINK_HASH } from '../stored-link-hash.ts'
import { GENESIS } from '../verify/entry-links.ts'
import type { ChainPlace } from './bundle-lines.ts'

/** From the first entry of the span up to the last one before the first that is outside: times may be a caller's own. */
const FIND_RANGE = `
  WITH entries AS (
    SELECT
      sequence_num,
      created_at >= coalesce($3::timestamptz, '-infinity')
        AND created_at < coalesce($4::timestamptz, 'infinity') AS is_within
    FROM audit_entries
    WHERE host_id = $1
      AND sequence_num <= $2
  ),
  beginning AS (
    SELECT min(sequence_num) AS first
    FROM entries
    WHERE is_within
  )
  SELECT
    first,
    (
      SELECT max(sequence_num)
      FROM entries
      WHERE sequence_num < coalesce(
        (
          SELECT min(sequence_num)
          FROM entries
          WHERE NOT is_within
            AND sequence_num > first
        ),
        $2::bigint + 1
      )
    ) AS last
  FROM beginning`

export interface SequenceRange {
  readonly first: string
  readonly last: string
}

/** The numbers of the first and the last entry of a span of time, not beyond a head; `undefined` when there is none. */
export async function findRange(
  db: QueryRunner,
  hostId: string,
  head: string,
  span: { readonly from: string | null; readonly to: string | null },
): Promise<SequenceRange | undefined> {
  const { rows } = await db.query<{ first: string | null; last: string | null }>(FIND_RANGE, [
    hostId,
    head,
    span.from,
    span.to,
  ])
  const { first, last } = rows[0] ?? {}
  return first == null || last == null ? undefined : { first, last }
}

/** The entry before a number, or the pruning that ends there. */
const FIND_PLACE = `
  SELECT
    sequence_num AS "sequenceNum",
    event_hash AS "eventHash",${STORED_LINK_HASH} AS "linkHash"
  FROM audit_entries
  WHERE host_id = $1
    AND sequence_num = $2::bigint - 1
  UNION ALL
  SELECT
    through_sequence,
    through_event_hash,
    through_link_hash
  FROM audit_prunings
  WHERE host_id = $1
    AND through_sequence = $2::bigint - 1
  LIMIT 1`

const BEGINNING: ChainPlace = { sequenceNum: '0', ...GENESIS }

/** Where a chain stands before the entry with a number; `undefined` when that is not known. */
export async function findPlaceBefore(
  db: QueryRunner,
  hostId: string,
  sequenceNum: string,
): Promise<ChainPlace | undefined> {
  if (sequenceNum === '1') return BEGINNING
  const { rows } = await db.query<ChainPlace>(FIND_PLACE, [hostId, sequenceNum])
  return rows[0]
}
