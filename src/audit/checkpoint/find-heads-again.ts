import type { AuditDamage } from '../../model/audit-checkpoint.ts'
import type { QueryRunner } from '../../pg/database.ts'
import type { SignedCheckpoint } from './checkpoint-files.ts'
import type { Head } from './head.ts'
import { readLinkHashes } from './read-heads.ts'

/**
 * Looks for every head of an earlier checkpoint among the entries of the same snapshot from which `current` was taken.
 * A head that is no entry any more is a finding, and so is one that is another entry now.
 */
export async function findHeadsAgain(
  transaction: QueryRunner,
  { heads }: SignedCheckpoint,
  current: ReadonlyMap<string, Head>,
  signal: AbortSignal | undefined,
): Promise<readonly AuditDamage[]> {
  const linkHashes = await readLinkHashes(transaction, heads, signal)
  return heads.flatMap(head => damageOf(head, current.get(head.hostId), linkHashes.get(head.hostId)) ?? [])
}

function damageOf(
  signed: Head,
  newest: Head | undefined,
  linkHash: string | undefined,
): AuditDamage | undefined {
  const { hostId, sequenceNum } = signed
  const place = { hostId, sequenceNum: String(sequenceNum) }
  if (newest === undefined) {
    return { ...place, verdict: 'host missing', expected: `a chain of ${sequenceNum} entries`, found: 'none' }
  }
  if (newest.sequenceNum < sequenceNum) {
    return {
      ...place,
      verdict: 'tail missing',
      expected: `a chain of ${sequenceNum} entries or more`,
      found: String(newest.sequenceNum),
    }
  }
  // Of a chain that was pruned up to this head, or without any entry left, the pruning tells the hash.
  const found = linkHash ?? (newest.sequenceNum === sequenceNum ? newest.linkHash : undefined)
  if (found === signed.linkHash) return undefined
  return found === undefined
    ? { ...place, verdict: 'gap', expected: `an entry with the link hash ${signed.linkHash}`, found: 'none' }
    : { ...place, verdict: 'rewritten', expected: signed.linkHash, found }
}
