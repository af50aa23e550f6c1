import type { AuditRow } from './audit-row.ts'
import type { ChainFinding } from './chain-finding.ts'
import { DisplacedRows } from './displaced-rows.ts'
import {
  alternativesOf,
  type ChainPoint,
  follows,
  GENESIS,
  isGiven,
  isProtected,
  isUnprotected,
  recomputedLink,
  standsAlone,
  storedLink,
  storedPoint,
  wasProtected,
} from './entry-links.ts'
import { type Before, type HeldRow, heldRow } from './held-row.ts'

/** Where a chain begins, or where its verification does. */
export interface ChainStart {
  /** Of the entry before the first one. */
  readonly sequenceNum: bigint
  /** `undefined`: not known. */
  readonly point: ChainPoint | undefined
  /** Whether that entry was protected. */
  readonly isProtected: boolean
}

export const FROM_GENESIS: ChainStart = { sequenceNum: 0n, point: GENESIS, isProtected: false }

/** How many rows were checked in which way. */
export interface ChainCounts {
  entries: number
  recomputed: number
  rowProtected: number
  unprotected: number
  unconfirmed: number
}

/** The end of a chain. */
export interface ChainEnd {
  /** The largest number that has a row. */
  readonly sequenceNum: bigint
  /** The last number of version 0 before the protected entries, if there are such. */
  readonly lastUnprotected: bigint | undefined
  /** Of the watched numbers, those that have a row. */
  readonly watched: ReadonlyMap<bigint, WatchedRow>
}

export interface WatchedRow {
  /** That it may have. */
  readonly linkHashes: ReadonlySet<string>
  /** Whether it fits. */
  readonly isSound: boolean
}

/**
 * Walks along the rows of one host, in the order of their numbers, and says what does not fit. Where a row does not, it
 * goes on from what the next ones link to, so that one damage is one finding.
 */
export class ChainWalk {
  readonly #start: ChainStart
  readonly #counts: ChainCounts
  readonly #onFinding: (finding: ChainFinding) => void
  readonly #displaced: DisplacedRows
  /** The numbers whose link hashes are wanted. */
  readonly #watchedNumbers: ReadonlySet<bigint>
  readonly #watched = new Map<bigint, WatchedRow>()
  #number: bigint
  /** What the row at `#number` holds; `undefined`: not known. */
  #point: ChainPoint | undefined
  /** The row at `#number`, where it is one of version 0. */
  #unprotected: { readonly row: AuditRow; readonly before: ChainPoint; isReported: boolean } | undefined
  /** The row at `#number`, where it does not fit. */
  #held: HeldRow | undefined
  /** What stands before the row at `#number`. */
  #before: ChainPoint | undefined
  #lastAccepted: bigint
  #lastUnprotected: bigint | undefined
  #isProtected: boolean

  constructor(
    start: ChainStart,
    {
      counts,
      watched,
      onFinding,
    }: {
      readonly counts: ChainCounts
      readonly watched: Iterable<bigint>
      readonly onFinding: (finding: ChainFinding) => void
    },
  ) {
    this.#start = start
    this.#counts = counts
    this.#watchedNumbers = new Set(watched)
    this.#onFinding = onFinding
    this.#number = start.sequenceNum
    this.#lastAccepted = start.sequenceNum
    this.#point = start.point
    this.#isProtected = start.isProtected
    this.#displaced = new DisplacedRows({
      onFinding,
      onPlaced: (row, sequenceNum) => {
        this.#count(row)
        this.#watch(row, sequenceNum, true)
      },
      onUnplaced: () => {
        this.#counts.unconfirmed++
      },
    })
  }

  add(row: AuditRow): void {
    this.#counts.entries++
    const { sequenceNum } = row
    if (sequenceNum === undefined || sequenceNum <= this.#start.sequenceNum) {
      this.#displaced.hold(heldRow(row, { is: 'absent' }, { isBeforeStart: sequenceNum !== undefined }))
      return
    }
    const next = this.#number + 1n
    if (sequenceNum < next) {
      this.#addAgain(row)
      return
    }
    if (sequenceNum > next) this.#passGap(next, sequenceNum - 1n)
    this.#addNext(row, sequenceNum)
  }

  finish(): ChainEnd {
    return {
      sequenceNum: this.#displaced.finish(this.#lastAccepted),
      lastUnprotected: this.#lastUnprotected,
      watched: this.#watched,
    }
  }

  #addNext(row: AuditRow, sequenceNum: bigint): void {
    const before =
      this.#followed(row) ??
      this.#followedElsewhere(row, sequenceNum) ??
      this.#followedUnseen(row, sequenceNum)
    if (before) this.#accept(row, sequenceNum, before)
    else this.#hold(row, sequenceNum)
  }

  /** What the row follows, if that is the one before it, as it stands or as it was. */
  #followed(row: AuditRow): ChainPoint | undefined {
    const point = this.#point
    if (!point) return undefined
    if (follows(row, point)) {
      if (this.#held) this.#held.isConfirmed = true
      return point
    }
    return this.#followedAsItWas(row)
  }

  #followedAsItWas(row: AuditRow): ChainPoint | undefined {
    const altered = this.#held?.row ?? this.#unprotected?.row
    if (!altered || !isProtected(row)) return undefined
    const prevLink = this.#before?.linkHash ?? altered.prevHash
    for (const { point, expected, found } of alternativesOf(altered, prevLink, row)) {
      if (!follows(row, point)) continue
      if (this.#held) this.#held.alteration ??= { expected, found }
      else this.#reportAltered(this.#number, expected, found)
      return point
    }
    return undefined
  }

  /** What the row follows, if the one before it stands somewhere else. */
  #followedElsewhere(row: AuditRow, sequenceNum: bigint): ChainPoint | undefined {
    const point = this.#displaced.pointBefore(sequenceNum)
    return point && follows(row, point) ? point : undefined
  }

  /** What a row follows that is as it was written, although what stands before it is something else. */
  #followedUnseen(row: AuditRow, sequenceNum: bigint): ChainPoint | undefined {
    const isAfterGap = this.#held === undefined && this.#point === undefined
    if (!standsAlone(row) && !(isAfterGap && isUnprotected(row) && !isGiven(row))) return undefined
    if (this.#point && !this.#held) this.#reportBrokenLink(sequenceNum, this.#point, row)
    return { eventHash: row.prevHash, linkHash: row.prevHash }
  }

  #accept(row: AuditRow, sequenceNum: bigint, before: ChainPoint): void {
    if (isUnprotected(row)) this.#acceptUnprotected(row, sequenceNum, before)
    else {
      this.#isProtected = true
      this.#unprotected = undefined
    }
    this.#count(row)
    this.#held = undefined
    this.#before = before
    this.#point = storedPoint(row)
    this.#number = sequenceNum
    this.#lastAccepted = sequenceNum
    // One that is altered has a finding already.
    this.#watch(row, sequenceNum, !this.#unprotected?.isReported)
  }

  #acceptUnprotected(row: AuditRow, sequenceNum: bigint, before: ChainPoint): void {
    const isAltered = wasProtected(row, before)
    this.#unprotected = { row, before, isReported: isAltered || this.#isProtected }
    if (!this.#unprotected.isReported) this.#lastUnprotected = sequenceNum
    if (isAltered) this.#onFinding(altered(sequenceNum, 'hash_version 1', 'hash_version 0'))
    else if (this.#isProtected) {
      this.#onFinding({
        kind: 'protection-removed',
        sequenceNum: String(sequenceNum),
        expected: 'hash_version 1, as before it',
        found: 'hash_version 0',
      })
    }
  }

  #count(row: AuditRow): void {
    if (isUnprotected(row)) this.#counts.unprotected++
    else if (isGiven(row)) this.#counts.rowProtected++
    else this.#counts.recomputed++
  }

  #hold(row: AuditRow, sequenceNum: bigint): void {
    const ahead = this.#displaced.pointBefore(sequenceNum)
    const before = this.#beforeNext(ahead)
    this.#before = ahead ?? this.#point
    const held = heldRow(row, before)
    this.#number = sequenceNum
    this.#point = storedPoint(row)
    this.#held = held
    this.#unprotected = undefined
    this.#watch(row, sequenceNum, false)
    this.#displaced.hold(held)
  }

  #beforeNext(ahead: ChainPoint | undefined): Before {
    if (ahead) return { is: 'certain', point: ahead }
    if (this.#held) return { is: 'held', row: this.#held }
    return this.#point ? { is: 'certain', point: this.#point } : { is: 'absent' }
  }

  /** Numbers without a row. What the next one follows is not known. */
  #passGap(first: bigint, last: bigint): void {
    const before = this.#beforeNext(this.#displaced.pointBefore(first))
    this.#displaced.addGap({ first, last }, before.is === 'certain' ? before.point : undefined)
    this.#number = last
    this.#point = undefined
    this.#held = undefined
    this.#unprotected = undefined
    this.#before = undefined
  }

  /** A number that was there before. The row that fits is the entry, the other is not. */
  #addAgain(row: AuditRow): void {
    const held = this.#held
    const isEntry = row.sequenceNum === this.#number && held && this.#before && follows(row, this.#before)
    if (!isEntry || !held || !this.#before) {
      const before = this.#before
      const place: Before = before ? { is: 'certain', point: before } : { is: 'absent' }
      this.#displaced.hold(heldRow(row, place, { isDuplicate: true }))
      return
    }
    this.#displaced.supersede(held)
    this.#accept(row, this.#number, this.#before)
  }

  #watch(row: AuditRow, sequenceNum: bigint, isSound: boolean): void {
    if (!this.#watchedNumbers.has(sequenceNum)) return
    const before = this.#watched.get(sequenceNum)
    const linkHashes = new Set(before?.linkHashes).add(storedLink(row))
    const prevLink = this.#before?.linkHash
    const recomputed = isSound || prevLink === undefined ? undefined : recomputedLink(row, prevLink)
    if (recomputed !== undefined) linkHashes.add(recomputed)
    this.#watched.set(sequenceNum, { linkHashes, isSound: isSound || before?.isSound === true })
  }

  #reportBrokenLink(sequenceNum: bigint, before: ChainPoint, row: AuditRow): void {
    this.#onFinding({
      kind: 'broken-link',
      sequenceNum: String(sequenceNum),
      expected: `prev_hash ${before.eventHash}`,
      found: `prev_hash ${row.prevHash}`,
    })
  }

  #reportAltered(sequenceNum: bigint, expected: string, found: string): void {
    if (this.#unprotected?.isReported) return
    this.#onFinding(altered(sequenceNum, expected, found))
  }
}

function altered(sequenceNum: bigint, expected: string, found: string): ChainFinding {
  return { kind: 'altered-row', sequenceNum: String(sequenceNum), expected, found }
}
