import type { Head } from '../checkpoint/head.ts'
import { unprotectedLinkHash } from '../link-hash.ts'
import type { ChainFinding } from './chain-finding.ts'
import type { ChainStart } from './chain-walk.ts'
import type { CheckPruning, PruningCheck, PruningRow } from './prunings.ts'

export interface PrunedStart {
  readonly start: ChainStart
  /** Whether signed manifests stand for all that was pruned. */
  readonly isVerified: boolean
  /** The entries that record the prunings, by their signed manifests. Those that were pruned since are left out. */
  readonly records: readonly Head[]
  readonly findings: readonly ChainFinding[]
}

/**
 * Where a chain begins that was pruned: after the last of its prunings. Each of them begins where the one before it ended.
 * @param checkPruning absent: the manifests cannot be verified.
 */
export function startAfterPrunings(
  prunings: readonly [PruningRow, ...PruningRow[]],
  checkPruning: CheckPruning | undefined,
): PrunedStart {
  const findings: ChainFinding[] = []
  const records: Head[] = []
  let newest = prunings[0]
  let through = 0n
  for (const pruning of prunings) {
    newest = pruning
    const check = checkPruning?.(pruning)
    if (check?.outcome === 'verified') records.push(check.record)
    const finding = findingOf(pruning, check, through)
    if (finding) findings.push({ ...finding, sequenceNum: String(pruning.throughSequence) })
    through = pruning.throughSequence
  }
  const { throughSequence, throughEventHash: eventHash, throughLinkHash: linkHash } = newest
  return {
    start: {
      sequenceNum: throughSequence,
      point: { eventHash, linkHash },
      isProtected: linkHash !== unprotectedLinkHash(eventHash),
    },
    isVerified: findings.length === 0,
    records: records.filter(record => record.sequenceNum >= throughSequence),
    findings,
  }
}

function findingOf(
  { throughSequence }: PruningRow,
  check: PruningCheck | undefined,
  before: bigint,
): Omit<ChainFinding, 'sequenceNum'> | undefined {
  if (!check)
    return { kind: 'pruning-unverified', expected: 'a public key to verify its manifest', found: 'none' }
  const { outcome } = check
  if (outcome !== 'verified') {
    const { expected, found } = check
    return { kind: outcome === 'altered' ? 'pruning-altered' : 'pruning-unverified', expected, found }
  }
  if (check.first === before + 1n) return undefined
  return {
    kind: 'pruning-altered',
    expected: `a pruning of the entries ${before + 1n} to ${throughSequence}, or another one before it`,
    found: `one of the entries ${check.first} to ${throughSequence}`,
  }
}
