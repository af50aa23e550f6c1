import type { AuditRow } from './audit-row.ts'
import { type ChainFinding, mergeSpans, type Span } from './chain-finding.ts'
import { type ChainPoint, follows, storedPoint } from './entry-links.ts'
import { type HeldRow, judgeHeldRow } from './held-row.ts'

/** They bound the memory that a chain takes which is damaged throughout. Beyond them rows are judged where they stand. */
const MOST_HELD_ROWS = 1024
const MOST_HELD_CHARACTERS = 16_777_216
const MOST_SPANS = 1024

/** A number whose entry is missing, while the one before it is known. */
interface OpenPlace {
  readonly sequenceNum: bigint
  readonly before: ChainPoint
}

export interface DisplacedRowsListener {
  onFinding(finding: ChainFinding): void
  /** The row belongs to this number, and its hash is right there. */
  onPlaced(row: AuditRow, sequenceNum: bigint): void
  /** It belongs nowhere. */
  onUnplaced(row: AuditRow): void
}

/** The rows of a chain that do not fit where they stand, and the places that lack a row: brings the two together. */
export class DisplacedRows {
  readonly #listener: DisplacedRowsListener
  /** By the event hash before them. */
  readonly #places = new Map<string, OpenPlace>()
  /** In the order in which they were read. */
  readonly #held = new Set<HeldRow>()
  /** By the previous hash. */
  readonly #heldByLink = new Map<string, Set<HeldRow>>()
  readonly #heldByNumber = new Map<bigint, HeldRow>()
  /** By their first numbers. */
  readonly #gaps = new Map<bigint, Span>()
  /** Numbers whose row belongs somewhere else. */
  readonly #vacant = new Set<bigint>()
  #heldCharacters = 0
  #lastPlaced = 0n
  #ahead: OpenPlace | undefined
  #lastRead = 0n

  constructor(listener: DisplacedRowsListener) {
    this.#listener = listener
  }

  /** A row that does not fit. */
  hold(held: HeldRow): void {
    const { row } = held
    this.#held.add(held)
    this.#heldCharacters += row.payload.length
    const sameLink = this.#heldByLink.get(row.prevHash)
    if (sameLink) sameLink.add(held)
    else this.#heldByLink.set(row.prevHash, new Set([held]))
    if (row.sequenceNum !== undefined && !held.isBeforeStart) {
      this.#lastRead = row.sequenceNum
      if (!held.isDuplicate) this.#heldByNumber.set(row.sequenceNum, held)
      if (held.before.is === 'certain' && !held.isDuplicate) {
        this.#open({ sequenceNum: row.sequenceNum, before: held.before.point })
      }
    }
    const place = this.#places.get(row.prevHash)
    const isElsewhere = place !== undefined && place.sequenceNum !== row.sequenceNum
    if (isElsewhere && this.#held.has(held) && follows(row, place.before, place.sequenceNum))
      this.#fill(place, held)
    this.#makeRoom()
  }

  /** Numbers without a row. */
  addGap(span: Span, before: ChainPoint | undefined): void {
    this.#gaps.set(span.first, span)
    this.#lastRead = span.last
    if (before) this.#open({ sequenceNum: span.first, before })
    const oldest = this.#gaps.values().next().value
    if (this.#gaps.size > MOST_SPANS && oldest) {
      this.#gaps.delete(oldest.first)
      this.#reportGap(oldest)
    }
  }

  /** What stands before this number, if the row before it was found elsewhere. */
  pointBefore(sequenceNum: bigint): ChainPoint | undefined {
    return this.#ahead?.sequenceNum === sequenceNum ? this.#ahead.before : undefined
  }

  /** Another row was found that belongs where this one stands. */
  supersede(held: HeldRow): void {
    held.isDuplicate = true
    if (held.before.is === 'certain') this.#places.delete(held.before.point.eventHash)
    if (held.row.sequenceNum !== undefined) this.#heldByNumber.delete(held.row.sequenceNum)
  }

  /**
   * Reports what is missing and what belongs nowhere.
   * @param lastAccepted the largest number of a row that fits.
   * @returns the largest number that has a row.
   */
  finish(lastAccepted: bigint): bigint {
    let last = lastAccepted > this.#lastPlaced ? lastAccepted : this.#lastPlaced
    for (const { row, isDuplicate, isBeforeStart } of this.#held) {
      const { sequenceNum } = row
      if (sequenceNum !== undefined && !isDuplicate && !isBeforeStart && sequenceNum > last)
        last = sequenceNum
    }
    const vacant = [...this.#vacant].map(number => ({ first: number, last: number }))
    for (const span of mergeSpans([...this.#gaps.values(), ...vacant])) {
      if (span.first < last) this.#reportGap(span)
    }
    for (const held of [...this.#held]) this.#giveUp(held)
    return last
  }

  #open(place: OpenPlace): void {
    this.#places.set(place.before.eventHash, place)
    const oldest = this.#places.keys().next().value
    if (this.#places.size > MOST_SPANS && oldest !== undefined) this.#places.delete(oldest)
    for (const held of this.#heldByLink.get(place.before.eventHash) ?? []) {
      if (!follows(held.row, place.before, place.sequenceNum)) continue
      this.#fill(place, held)
      return
    }
  }

  /** One row that is placed may tell where the next one belongs, and so on. */
  #fill(first: OpenPlace, firstHeld: HeldRow): void {
    let place: OpenPlace | undefined = first
    let held: HeldRow | undefined = firstHeld
    while (place && held) {
      this.#place(place, held)
      const next: OpenPlace = { sequenceNum: place.sequenceNum + 1n, before: storedPoint(held.row) }
      place = undefined
      if (next.sequenceNum === this.#lastRead + 1n) this.#ahead = next
      if (!this.#isMissing(next.sequenceNum)) return
      held = this.#findFor(next)
      if (held) place = next
      else this.#places.set(next.before.eventHash, next)
    }
  }

  #findFor({ sequenceNum, before }: OpenPlace): HeldRow | undefined {
    for (const held of this.#heldByLink.get(before.eventHash) ?? []) {
      if (follows(held.row, before, sequenceNum)) return held
    }
    return undefined
  }

  #isMissing(sequenceNum: bigint): boolean {
    return this.#gaps.has(sequenceNum) || this.#vacant.has(sequenceNum) || this.#heldByNumber.has(sequenceNum)
  }

  #place({ sequenceNum, before }: OpenPlace, held: HeldRow): void {
    this.#places.delete(before.eventHash)
    this.#forget(held)
    this.#vacant.delete(sequenceNum)
    const gap = this.#gaps.get(sequenceNum)
    if (gap) {
      this.#gaps.delete(sequenceNum)
      if (gap.first < gap.last) this.#gaps.set(sequenceNum + 1n, { first: sequenceNum + 1n, last: gap.last })
    }
    // What stood there, if anything did, stands in the place of another now.
    const standing = this.#heldByNumber.get(sequenceNum)
    if (standing && standing !== held) standing.isReplaced = true
    this.#heldByNumber.delete(sequenceNum)
    if (sequenceNum > this.#lastPlaced) this.#lastPlaced = sequenceNum
    const from = held.row.sequenceNum
    if (from !== sequenceNum) {
      this.#listener.onFinding({
        kind: 'reordered',
        sequenceNum: from === undefined ? null : String(from),
        expected: `sequence_num ${sequenceNum}`,
        found: `sequence_num ${from ?? 'NULL'}`,
      })
      if (from !== undefined && !held.isDuplicate && !held.isReplaced && !held.isBeforeStart)
        this.#vacate(from)
    }
    this.#listener.onPlaced(held.row, sequenceNum)
  }

  #vacate(number: bigint): void {
    this.#heldByNumber.delete(number)
    this.#vacant.add(number)
    const oldest = this.#vacant.values().next().value
    if (this.#vacant.size > MOST_SPANS && oldest !== undefined) {
      this.#vacant.delete(oldest)
      this.#reportGap({ first: oldest, last: oldest })
    }
  }

  #makeRoom(): void {
    while (this.#held.size > MOST_HELD_ROWS || this.#heldCharacters > MOST_HELD_CHARACTERS) {
      const oldest = this.#held.values().next().value
      if (!oldest) return
      this.#giveUp(oldest)
    }
  }

  #giveUp(held: HeldRow): void {
    this.#forget(held)
    const { sequenceNum } = held.row
    if (sequenceNum !== undefined && this.#heldByNumber.get(sequenceNum) === held)
      this.#heldByNumber.delete(sequenceNum)
    this.#listener.onFinding({
      ...judgeHeldRow(held),
      sequenceNum: sequenceNum === undefined ? null : String(sequenceNum),
    })
    this.#listener.onUnplaced(held.row)
    // The next one knows this one as the row before it, and must not keep all of them in memory.
    held.before = { is: 'absent' }
  }

  #forget(held: HeldRow): void {
    this.#held.delete(held)
    this.#heldCharacters -= held.row.payload.length
    const sameLink = this.#heldByLink.get(held.row.prevHash)
    sameLink?.delete(held)
    if (sameLink?.size === 0) this.#heldByLink.delete(held.row.prevHash)
  }

  #reportGap({ first, last }: Span): void {
    this.#listener.onFinding({
      kind: 'gap',
      sequenceNum: String(first),
      expected: first === last ? `entry ${first}` : `entries ${first} to ${last}`,
      found: 'none',
    })
  }
}
