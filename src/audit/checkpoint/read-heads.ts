import type { AuditFinding } from '../../model/audit-verification.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { STORED_LINK_HASH } from '../stored-link-hash.ts'
import { type Head, parseHead } from './head.ts'

const FETCH_ROWS = 5000

/**
 * The newest entry of each chain, in the order of the hosts; where all entries were pruned, the last of those. The hosts are taken
 * from the entries, not from `hosts`: an entry whose host was removed counts all the same. Each step of the recursion is one
 * descent of the index.
 */
const DECLARE_HEADS = `
  DECLARE chain_heads NO SCROLL CURSOR FOR
  WITH RECURSIVE chains (host_id) AS (
    (
      SELECT host_id
      FROM audit_entries
      ORDER BY host_id
      LIMIT 1
    )
    UNION ALL
    SELECT following.host_id
    FROM chains
    CROSS JOIN LATERAL (
      SELECT host_id
      FROM audit_entries
      WHERE audit_entries.host_id > chains.host_id
      ORDER BY host_id
      LIMIT 1
    ) AS following
  ),
  ends AS (
    SELECT
      newest.host_id,
      newest.sequence_num,
      newest.link_hash,
      0 AS precedence
    FROM chains
    CROSS JOIN LATERAL (
      SELECT
        host_id,
        sequence_num,${STORED_LINK_HASH} AS link_hash
      FROM audit_entries
      WHERE audit_entries.host_id = chains.host_id
      ORDER BY sequence_num DESC
      LIMIT 1
    ) AS newest
    UNION ALL
    SELECT
      host_id,
      through_sequence,
      through_link_hash::text,
      1
    FROM audit_prunings
  )
  SELECT DISTINCT ON (host_id)
    host_id,
    sequence_num,
    link_hash
  FROM ends
  ORDER BY host_id, sequence_num DESC, precedence`

interface HeadRow {
  readonly host_id: string
  readonly sequence_num: string
  readonly link_hash: string
}

export interface ChainHeads {
  /** In the order of their hosts. */
  readonly heads: readonly Head[]
  /** The newest entries that can be no heads, because their hash is none. */
  readonly findings: readonly AuditFinding[]
}

/** The heads of all chains. The transaction must see one snapshot: REPEATABLE READ. */
export async function readHeads(transaction: QueryRunner, signal?: AbortSignal): Promise<ChainHeads> {
  const heads: Head[] = []
  const findings: AuditFinding[] = []
  await transaction.runScript(DECLARE_HEADS)
  for (;;) {
    signal?.throwIfAborted()
    const { rows } = await transaction.query<HeadRow>(`FETCH ${FETCH_ROWS} FROM chain_heads`)
    for (const row of rows) {
      const head = headFromRow(row)
      if (head === undefined) findings.push(unusableHead(row))
      else heads.push(head)
    }
    if (rows.length < FETCH_ROWS) break
  }
  await transaction.runScript('CLOSE chain_heads')
  return { heads, findings }
}

function headFromRow({ host_id, sequence_num, link_hash }: HeadRow): Head | undefined {
  return parseHead(`${host_id} ${sequence_num} ${link_hash}`)
}

function unusableHead({ host_id, sequence_num, link_hash }: HeadRow): AuditFinding {
  return {
    kind: 'altered-row',
    hostId: host_id,
    sequenceNum: sequence_num,
    expected: 'a number from 1 on, and 64 hexadecimal digits',
    found: JSON.stringify(link_hash),
  }
}

const READ_LINK_HASHES = `
  SELECT
    entry.host_id,
    entry.sequence_num,${STORED_LINK_HASH} AS link_hash
  FROM unnest($1::uuid[], $2::bigint[]) AS given (host_id, sequence_num)
  JOIN audit_entries AS entry
    ON entry.host_id = given.host_id
    AND entry.sequence_num = given.sequence_num`

/** No hash. */
const TWO_ENTRIES = 'two entries'

/** The link hashes of the entries that these heads name, by host. An entry that is not there is left out. */
export async function readLinkHashes(
  transaction: QueryRunner,
  heads: readonly Head[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (let from = 0; from < heads.length; from += FETCH_ROWS) {
    signal?.throwIfAborted()
    const some = heads.slice(from, from + FETCH_ROWS)
    const { rows } = await transaction.query<HeadRow>(READ_LINK_HASHES, [
      some.map(head => head.hostId),
      some.map(head => String(head.sequenceNum)),
    ])
    // Where the unique key was dropped, a number may stand there twice. Neither of the two is the entry, then.
    for (const row of rows) found.set(row.host_id, found.has(row.host_id) ? TWO_ENTRIES : row.link_hash)
  }
  return found
}

const LIST_PRUNED_HEADS = `
  SELECT DISTINCT ON (host_id)
    host_id,
    through_sequence AS sequence_num,
    through_link_hash::text AS link_hash
  FROM audit_prunings
  ORDER BY host_id, through_sequence DESC`

/** The last entry that was pruned of each chain, by host. */
export async function readPrunedHeads(transaction: QueryRunner): Promise<ReadonlyMap<string, Head>> {
  const { rows } = await transaction.query<HeadRow>(LIST_PRUNED_HEADS)
  return new Map(
    rows.flatMap(row => {
      const head = headFromRow(row)
      return head === undefined ? [] : [[row.host_id, head]]
    }),
  )
}
