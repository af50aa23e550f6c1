import type { Head } from '../checkpoint/head.ts'
import { type AuditRow, isOfHost, parseAuditLine } from './audit-row.ts'
import type { ChainFinding } from './chain-finding.ts'
import { type ChainCounts, type ChainEnd, type ChainStart, ChainWalk, FROM_GENESIS } from './chain-walk.ts'
import { compareHead, HeadTally } from './compare-head.ts'
import { isUnprotected, storedPoint } from './entry-links.ts'
import type { FindingList } from './finding-list.ts'
import { type PrunedStart, startAfterPrunings } from './pruned-start.ts'
import type { CheckPruning, PruningSource } from './prunings.ts'

export interface LogWalkOptions {
  /** The heads of a checkpoint, in the order of their hosts; `undefined`: there is none to compare with. */
  readonly heads: Iterable<Head> | undefined
  /**
   * Where the chains were verified up to. A chain then begins with the row before its head: the head is what later entries are
   * hung on, so its row is verified again. One without such a head begins at its genesis.
   */
  readonly afterHeads?: ReadonlyMap<string, Head>
  readonly prunings: PruningSource
  /** Absent: the manifests of prunings cannot be verified. */
  readonly checkPruning: CheckPruning | undefined
  readonly findings: FindingList
  /** Whether entries may be missing that have not arrived yet. Defaults to no. */
  readonly isStandby?: boolean
}

interface OpenChain {
  readonly hostId: string
  readonly start: ChainStart
  readonly pruned: PrunedStart | undefined
  readonly head: Head | undefined
  /** The number up to which the chain was verified before. */
  readonly verifiedUpTo: bigint | undefined
  readonly walk: ChainWalk
}

/** Walks along the rows of all hosts, in the order of hosts and numbers, beside the heads of a checkpoint and the prunings. */
export class LogWalk {
  readonly #findings: FindingList
  readonly #prunings: PruningSource
  readonly #checkPruning: CheckPruning | undefined
  readonly #afterHeads: ReadonlyMap<string, Head> | undefined
  readonly #heads: Iterator<Head> | undefined
  readonly #isStandby: boolean
  readonly tally = new HeadTally()
  readonly counts: ChainCounts = {
    entries: 0,
    recomputed: 0,
    rowProtected: 0,
    unprotected: 0,
    unconfirmed: 0,
  }
  /** Of these, the heads that were verified before. */
  readonly readAgain = { entries: 0, unprotected: 0 }
  #nextHead: Head | undefined
  #chain: OpenChain | undefined
  #hosts = 0
  #prunedChains = 0
  #verifiedPrunings = 0

  constructor({ heads, afterHeads, prunings, checkPruning, findings, isStandby = false }: LogWalkOptions) {
    this.#isStandby = isStandby
    this.#afterHeads = afterHeads
    this.#findings = findings
    this.#prunings = prunings
    this.#checkPruning = checkPruning
    this.#heads = heads?.[Symbol.iterator]()
    this.#advanceHead()
  }

  /** Chains that have entries. */
  get hosts(): number {
    return this.#hosts
  }

  get prunedChains(): { readonly chains: number; readonly verified: number } {
    return { chains: this.#prunedChains, verified: this.#verifiedPrunings }
  }

  /** Takes rows. The prunings must be read up to the host of the last one. */
  add(lines: readonly string[]): void {
    for (const line of lines) {
      const chain = this.#chain
      if (chain && isOfHost(line, chain.hostId)) {
        this.#walkOn(chain, parseAuditLine(line))
      } else {
        this.#endChain()
        this.#beginChain(parseAuditLine(line))
      }
    }
  }

  /** Ends the walk: what was not met is missing. */
  async finish(): Promise<void> {
    this.#endChain()
    while (!this.#prunings.isDone) {
      await this.#prunings.readMore()
      const { lastHost } = this.#prunings
      if (lastHost !== undefined) this.#passChainsBefore(lastHost)
    }
    this.#passChainsBefore(undefined)
  }

  #beginChain(first: AuditRow): void {
    const { hostId } = first
    // Rows that have lost their host come last; what was not met before is passed at the end.
    if (hostId !== '') this.#passChainsBefore(hostId)
    this.#hosts++
    const pruned = this.#takePrunings(hostId)
    const start = pruned?.start ?? FROM_GENESIS
    const before = (this.#afterHeads?.get(hostId)?.sequenceNum ?? 0n) - 1n
    if (before <= start.sequenceNum) {
      this.#walkOn(this.#openChain(hostId, pruned, start), first)
    } else if (first.sequenceNum === before) {
      this.#openChain(hostId, pruned, startAfter(first))
    } else {
      this.#walkOn(this.#openChain(hostId, pruned, startBeforeMissing(before)), first)
    }
  }

  #walkOn({ verifiedUpTo, walk }: OpenChain, row: AuditRow): void {
    if (verifiedUpTo !== undefined && row.sequenceNum === verifiedUpTo) {
      this.readAgain.entries++
      if (isUnprotected(row)) this.readAgain.unprotected++
    }
    walk.add(row)
  }

  #openChain(hostId: string, pruned: PrunedStart | undefined, start: ChainStart): OpenChain {
    const head = this.#nextHead?.hostId === hostId ? this.#nextHead : undefined
    if (head) this.#advanceHead()
    const walk = new ChainWalk(start, {
      counts: this.counts,
      watched: [...(head ? [head] : []), ...(pruned?.records ?? [])].map(each => each.sequenceNum),
      onFinding: finding => this.#report(hostId, finding),
    })
    const verifiedUpTo = this.#afterHeads?.get(hostId)?.sequenceNum
    this.#chain = { hostId, start, pruned, head, verifiedUpTo, walk }
    return this.#chain
  }

  /** Chains without a row that the prunings or the checkpoint know. */
  #passChainsBefore(hostId: string | undefined): void {
    for (;;) {
      const next = smallest(this.#prunings.nextHost, this.#nextHead?.hostId)
      if (next === undefined || (hostId !== undefined && next >= hostId)) return
      const pruned = this.#takePrunings(next)
      this.#openChain(next, pruned, pruned?.start ?? FROM_GENESIS)
      this.#endChain()
    }
  }

  #endChain(): void {
    if (!this.#chain) return
    const chain = this.#chain
    this.#chain = undefined
    const { hostId } = chain
    const end = chain.walk.finish()
    if (end.lastUnprotected !== undefined) {
      this.#report(hostId, {
        kind: 'unprotected',
        sequenceNum: String(end.lastUnprotected),
        expected: 'hash_version 1',
        found: `hash_version 0, up to entry ${end.lastUnprotected}`,
      })
    }
    this.#compareRecords(chain, end, this.#compareWithCheckpoint(chain, end))
  }

  /** @returns whether it was told that the tail of the chain is missing. */
  #compareWithCheckpoint({ hostId, start, head, verifiedUpTo }: OpenChain, end: ChainEnd): boolean {
    if (!head) {
      this.tally.add('new')
      // Whoever looks for the verified heads tells it.
      return verifiedUpTo !== undefined && end.sequenceNum < verifiedUpTo
    }
    const { outcome, finding } = compareHead(head, start, end)
    this.tally.add(outcome)
    const isLate = this.#isStandby && outcome === 'behind'
    if (finding) this.#report(hostId, isLate ? { ...finding, kind: 'standby-behind' } : finding)
    return outcome === 'behind' && !isLate
  }

  /** A pruning is itself an entry of the chain, of the same transaction: a standby that has the one has the other. */
  #compareRecords({ hostId, start, pruned }: OpenChain, end: ChainEnd, isTailTold: boolean): void {
    if (!pruned) return
    let isTold = isTailTold
    // The newest first: one finding tells of the whole tail.
    for (const record of pruned.records.toReversed()) {
      const { outcome, finding } = compareHead(record, start, end)
      if (finding && !(outcome === 'behind' && isTold)) this.#report(hostId, finding)
      isTold ||= outcome === 'behind'
    }
    if (isTold || end.sequenceNum > pruned.start.sequenceNum) return
    this.#report(hostId, {
      kind: 'tail-missing',
      sequenceNum: String(end.sequenceNum + 1n),
      expected: 'the entry of the pruning',
      found: 'no entry',
    })
  }

  #takePrunings(hostId: string): PrunedStart | undefined {
    const [oldest, ...later] = this.#prunings.nextHost === hostId ? this.#prunings.take(hostId) : []
    if (!oldest) return undefined
    const pruned = startAfterPrunings([oldest, ...later], this.#checkPruning)
    for (const finding of pruned.findings) this.#report(hostId, finding)
    this.#prunedChains++
    if (pruned.isVerified) this.#verifiedPrunings++
    return pruned
  }

  #advanceHead(): void {
    const next = this.#heads?.next()
    this.#nextHead = next === undefined || next.done ? undefined : next.value
  }

  #report(hostId: string, finding: ChainFinding): void {
    this.#findings.add({ ...finding, hostId: hostId === '' ? null : hostId })
  }
}

function startAfter(row: AuditRow): ChainStart {
  return { sequenceNum: row.sequenceNum ?? 0n, point: storedPoint(row), isProtected: !isUnprotected(row) }
}

/** The row with this number should have been read first: what stands before it is not known. */
function startBeforeMissing(sequenceNum: bigint): ChainStart {
  return { sequenceNum: sequenceNum - 1n, point: undefined, isProtected: false }
}

function smallest(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a < b ? a : b
}
