import { linkHashOfDigest } from '../link-hash.ts'
import type { ChainPlace } from './bundle-lines.ts'

/** What an entry is compared by. */
export interface WalkedEntry {
  readonly sequenceNum: string
  readonly entryId: string
  readonly createdAt: string
  readonly prevHash: string
  readonly eventHash: string
  readonly rowHash: string | null
}

/** How an entry does not continue the one before it. */
export interface WalkProblem {
  readonly kind: 'gap' | 'broken-link' | 'altered-row'
  readonly expected: string
  readonly found: string
}

/** Follows a chain from entry to entry: docs/audit-chain.md, "linked". Only for protected entries. */
export class ChainWalk {
  readonly #hostId: string
  #place: ChainPlace

  constructor(hostId: string, place: ChainPlace) {
    this.#hostId = hostId
    this.#place = place
  }

  /** The last entry that was stepped on, or where the walk began. */
  get place(): ChainPlace {
    return this.#place
  }

  /** Goes on to the next entry. Returns what is wrong with it; the walk is over then. */
  step(entry: WalkedEntry, payloadSha256: string): WalkProblem | undefined {
    const { sequenceNum, prevHash, eventHash, rowHash } = entry
    const expectedSequence = String(BigInt(this.#place.sequenceNum) + 1n)
    if (sequenceNum !== expectedSequence) {
      return { kind: 'gap', expected: `entry ${expectedSequence}`, found: `entry ${sequenceNum}` }
    }
    if (prevHash !== this.#place.eventHash) {
      return { kind: 'broken-link', expected: this.#place.eventHash, found: prevHash }
    }
    const linkHash = linkHashOfDigest(
      {
        ...entry,
        hostId: this.#hostId,
        prevLink: this.#place.linkHash,
        givenEventHash: rowHash === null ? '' : eventHash,
      },
      payloadSha256,
    )
    const stored = rowHash ?? eventHash
    if (stored !== linkHash) return { kind: 'altered-row', expected: linkHash, found: stored }
    this.#place = { sequenceNum, eventHash, linkHash }
    return undefined
  }
}
