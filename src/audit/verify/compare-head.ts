import type { Head } from '../checkpoint/head.ts'
import type { ChainFinding } from './chain-finding.ts'
import type { ChainEnd, ChainStart } from './chain-walk.ts'

/**
 * Where a chain ends, compared with the checkpoint.
 * - `pruned`: its head in the checkpoint was pruned since, so it cannot be compared.
 */
export type HeadOutcome = 'behind' | 'at' | 'ahead' | 'rewritten' | 'pruned'

export interface HeadComparison {
  readonly outcome: HeadOutcome
  readonly finding?: ChainFinding
}

/** Compares a chain with its head in a checkpoint, or with another entry that it had by a signed note. */
export function compareHead(head: Head, start: ChainStart, end: ChainEnd): HeadComparison {
  const { sequenceNum } = head
  if (sequenceNum < start.sequenceNum) return { outcome: 'pruned' }
  if (sequenceNum > end.sequenceNum) return { outcome: 'behind', finding: missing(head, end.sequenceNum) }
  const outcome = sequenceNum === end.sequenceNum ? 'at' : 'ahead'
  if (sequenceNum === start.sequenceNum) {
    const found = start.point?.linkHash
    return found === undefined || found === head.linkHash
      ? { outcome }
      : { outcome, finding: finding('pruning-altered', head, found) }
  }
  // Without a row with this number there is a gap, and a row that does not fit has a finding of its own.
  const watched = end.watched.get(sequenceNum)
  if (!watched?.isSound || watched.linkHashes.has(head.linkHash)) return { outcome }
  const [found = 'none'] = watched.linkHashes
  return { outcome: 'rewritten', finding: finding('rewritten', head, found) }
}

function missing({ sequenceNum }: Head, last: bigint): ChainFinding {
  const expected =
    last + 1n === sequenceNum ? `entry ${sequenceNum}` : `entries ${last + 1n} to ${sequenceNum}`
  return last === 0n
    ? { kind: 'host-missing', sequenceNum: null, expected, found: 'none' }
    : { kind: 'tail-missing', sequenceNum: String(last + 1n), expected, found: `entry ${last} is the last` }
}

function finding(kind: ChainFinding['kind'], { sequenceNum, linkHash }: Head, found: string): ChainFinding {
  return {
    kind,
    sequenceNum: String(sequenceNum),
    expected: `link hash ${linkHash}`,
    found: `link hash ${found}`,
  }
}

/** How the chains stand to those of the checkpoint, all in all. */
export class HeadTally {
  readonly #outcomes: Record<HeadOutcome | 'new', number> = {
    behind: 0,
    at: 0,
    ahead: 0,
    rewritten: 0,
    pruned: 0,
    new: 0,
  }

  /** @param outcome `new`: the checkpoint has no such chain. */
  add(outcome: HeadOutcome | 'new'): void {
    this.#outcomes[outcome]++
  }

  /**
   * Whether the log as a whole is in an older state: most chains are shorter than in the checkpoint, and none has anything that
   * came after it. Where a few chains were cut, the others go on. Of a single chain it cannot be told.
   */
  get rolledBack(): { readonly behind: number; readonly chains: number } | undefined {
    const { behind, at, ahead, rewritten, pruned, new: added } = this.#outcomes
    const chains = behind + at + ahead + rewritten + pruned
    return chains > 1 && behind * 2 > chains && ahead + rewritten + pruned + added === 0
      ? { behind, chains }
      : undefined
  }
}
