import type { AuditFinding } from '../../model/audit-verification.ts'
import type { QueryRunner } from '../../pg/database.ts'
import type { SignedCheckpoint } from './checkpoint-files.ts'
import type { Head } from './head.ts'
import { readLinkHashes, readPrunedHeads } from './read-heads.ts'

/**
 * Looks for every head of an earlier checkpoint in the same snapshot from which `current` was taken. A head that is no entry any
 * more is a finding, unless a pruning accounts for it, and so is one that is another entry now. Whether a pruning is to be
 * believed is not looked at here.
 */
export async function findHeadsAgain(
  transaction: QueryRunner,
  { heads }: SignedCheckpoint,
  current: ReadonlyMap<string, Head>,
  signal: AbortSignal | undefined,
): Promise<readonly AuditFinding[]> {
  const linkHashes = await readLinkHashes(transaction, heads, signal)
  const pruned = await readPrunedHeads(transaction)
  return heads.flatMap(
    head =>
      compareHead(head, {
        newest: current.get(head.hostId),
        pruned: pruned.get(head.hostId),
        linkHash: linkHashes.get(head.hostId),
      }) ?? [],
  )
}

interface Found {
  readonly newest: Head | undefined
  readonly pruned: Head | undefined
  /** Of the entry with the number of the signed head. */
  readonly linkHash: string | undefined
}

function compareHead(signed: Head, { newest, pruned, linkHash }: Found): AuditFinding | undefined {
  const { hostId, sequenceNum } = signed
  const place = { hostId, sequenceNum: String(sequenceNum) }
  if (newest === undefined) {
    return { ...place, kind: 'host-missing', expected: `a chain of ${sequenceNum} entries`, found: 'none' }
  }
  if (newest.sequenceNum < sequenceNum) {
    const found = `its last entry is ${newest.sequenceNum}`
    return { ...place, kind: 'tail-missing', expected: `a chain of ${sequenceNum} entries or more`, found }
  }
  const isPruned = linkHash === undefined && pruned !== undefined && pruned.sequenceNum >= sequenceNum
  if (isPruned && pruned.sequenceNum > sequenceNum) return undefined
  const found = isPruned ? pruned.linkHash : linkHash
  if (found === signed.linkHash) return undefined
  return found === undefined
    ? { ...place, kind: 'gap', expected: `an entry with the link hash ${signed.linkHash}`, found: 'none' }
    : { ...place, kind: 'rewritten', expected: signed.linkHash, found }
}
