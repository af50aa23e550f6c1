import type { AuditFinding } from '../../model/audit-verification.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { type ChainStart, FROM_GENESIS } from '../verify/chain-walk.ts'
import { compareHead, HeadTally } from '../verify/compare-head.ts'
import type { SignedCheckpoint } from './checkpoint-files.ts'
import type { Head } from './head.ts'
import { readLinkHashes, readPrunedHeads } from './read-heads.ts'

/**
 * Looks for every head of an earlier checkpoint in the same snapshot from which `current` was taken. A head that is no entry any
 * more is a finding, unless a pruning accounts for it, and so is one that is another entry now. Whether a pruning is to be
 * believed is not looked at here.
 * @param afterHeads the heads after which entries are verified beside this: what is missing from there on is found there.
 */
export async function findHeadsAgain(
  transaction: QueryRunner,
  { heads }: SignedCheckpoint,
  current: ReadonlyMap<string, Head>,
  afterHeads: ReadonlyMap<string, Head>,
  signal: AbortSignal | undefined,
): Promise<readonly AuditFinding[]> {
  const linkHashes = await readLinkHashes(transaction, heads, signal)
  const pruned = await readPrunedHeads(transaction)
  const tally = new HeadTally()
  const findings: AuditFinding[] = []
  for (const head of heads) {
    const found = {
      newest: current.get(head.hostId),
      linkHash: linkHashes.get(head.hostId),
      verifiedFrom: afterHeads.get(head.hostId)?.sequenceNum ?? 0n,
    }
    const finding = compareWithLog(head, startOf(pruned.get(head.hostId)), found, tally)
    if (finding !== undefined) findings.push(finding)
  }
  const signedHosts = new Set(heads.map(head => head.hostId))
  for (const hostId of current.keys()) if (!signedHosts.has(hostId)) tally.add('new')
  return [...rolledBack(tally), ...findings]
}

function startOf(pruned: Head | undefined): ChainStart {
  if (pruned === undefined) return FROM_GENESIS
  const { sequenceNum, linkHash } = pruned
  return { sequenceNum, point: { eventHash: linkHash, linkHash }, isProtected: true }
}

interface FoundHead {
  readonly newest: Head | undefined
  /** Of the entry with the number of the signed head. */
  readonly linkHash: string | undefined
  /** The first number of which a gap is found elsewhere. */
  readonly verifiedFrom: bigint
}

function compareWithLog(
  head: Head,
  start: ChainStart,
  { newest, linkHash, verifiedFrom }: FoundHead,
  tally: HeadTally,
): AuditFinding | undefined {
  const { hostId, sequenceNum } = head
  const last = newest?.sequenceNum ?? 0n
  const { outcome, finding } = compareHead(head, start, {
    sequenceNum: last,
    lastUnprotected: undefined,
    watched:
      linkHash === undefined
        ? new Map()
        : new Map([[sequenceNum, { linkHashes: new Set([linkHash]), isSound: true }]]),
  })
  tally.add(outcome)
  if (finding !== undefined) return { ...finding, hostId }
  const isLost = linkHash === undefined && sequenceNum > start.sequenceNum && sequenceNum < verifiedFrom
  if (!isLost) return undefined
  const expected = `an entry with the link hash ${head.linkHash}`
  return { kind: 'gap', hostId, sequenceNum: String(sequenceNum), expected, found: 'none' }
}

function rolledBack(tally: HeadTally): readonly AuditFinding[] {
  if (tally.rolledBack === undefined) return []
  const { behind, chains } = tally.rolledBack
  return [
    {
      kind: 'rolled-back',
      hostId: null,
      sequenceNum: null,
      expected: 'chains that end with the earlier checkpoint or after it',
      found: `${behind} of ${chains} chains end before it, and none after it`,
    },
  ]
}
