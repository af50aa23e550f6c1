import type { AuditFinding } from '../../model/audit-verification.ts'
import type { QueryRunner } from '../../pg/database.ts'
import type { Head } from '../checkpoint/head.ts'
import { hostOf } from './audit-row.ts'
import { FindingList } from './finding-list.ts'
import { LogWalk } from './log-walk.ts'
import { type CheckPruning, Prunings } from './prunings.ts'
import { ALL_CHAINS, type AuditRowSource, readAuditLines } from './read-audit-lines.ts'

const MOST_FINDINGS = 100

/** What came out of verifying the entries after some heads. */
export interface NewEntriesVerification {
  readonly entries: number
  /** Of these, how many are of version 0. */
  readonly unprotectedEntries: number
  /** Damage, and what could not be checked: the first ones. Entries of version 0 are counted, and are no finding. */
  readonly findings: readonly AuditFinding[]
  /** How many there are in all. */
  readonly findingCount: number
}

/**
 * The hosts are taken from the entries, one descent of the index each, so that a chain without anything new costs no more
 * than that. A chain begins with the row before its head, by which that of the head is verified again.
 */
function rowsAfter(heads: readonly Head[]): AuditRowSource {
  if (heads.length === 0) return ALL_CHAINS
  return {
    from: `(
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
      )
      SELECT host_id
      FROM chains
    ) AS chain
    LEFT JOIN unnest($1::uuid[], $2::bigint[]) AS verified (verified_host_id, verified_sequence)
      ON verified.verified_host_id = chain.host_id
    CROSS JOIN LATERAL (
      SELECT
        tableoid,
        ctid,
        *
      FROM audit_entries
      WHERE audit_entries.host_id = chain.host_id
        AND audit_entries.sequence_num >= coalesce(verified.verified_sequence - 1, -9223372036854775808)
      OFFSET 0
    ) AS entry`,
    values: [heads.map(head => head.hostId), heads.map(head => String(head.sequenceNum))],
  }
}

/**
 * Verifies the entries of all chains that come after these heads, by host; of a chain without a head there, all entries. The rows of
 * the heads are verified again, and not counted. Whether they are the heads that were signed is not looked at.
 * @param transaction must see one snapshot: REPEATABLE READ, with row_security off.
 * @throws DatabaseError, TripwireStorageError MALFORMED_ROW: it could not be read. The reason of the signal.
 */
export async function verifyNewEntries(
  transaction: QueryRunner,
  {
    afterHeads,
    checkPruning,
    signal,
    onProgress,
  }: {
    readonly afterHeads: ReadonlyMap<string, Head>
    /** Absent: the manifests of prunings cannot be verified, and each pruning is a finding. */
    readonly checkPruning: CheckPruning | undefined
    readonly signal: AbortSignal | undefined
    readonly onProgress: ((progress: { readonly entries: number }) => void) | undefined
  },
): Promise<NewEntriesVerification> {
  const findings = new FindingList(MOST_FINDINGS, ['unprotected'])
  const prunings = await Prunings.open(transaction, null)
  const walk = new LogWalk({
    heads: undefined,
    afterHeads,
    prunings,
    checkPruning,
    findings,
  })
  const prepare = async (lines: readonly string[]) => {
    const last = lines.at(-1)
    if (last !== undefined) await prunings.readUpTo(hostOf(last))
  }
  for await (const lines of readAuditLines(transaction, rowsAfter([...afterHeads.values()]), {
    signal,
    prepare,
  })) {
    walk.add(lines)
    onProgress?.({ entries: walk.counts.entries - walk.readAgain.entries })
  }
  await walk.finish()
  return {
    entries: walk.counts.entries - walk.readAgain.entries,
    unprotectedEntries: walk.counts.unprotected - walk.readAgain.unprotected,
    findings: findings.kept,
    findingCount: findings.count,
  }
}
