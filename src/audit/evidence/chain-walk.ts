import { TripwireStorageError } from '../../errors.ts'
import { linkHashOfDigest, unprotectedLinkHash } from '../link-hash.ts'
import type { ChainPlace, EntryFields } from './bundle-lines.ts'

/** How an entry does not continue the one before it. */
export interface WalkProblem {
  readonly kind: 'gap' | 'broken-link' | 'altered-row'
  readonly expected: string
  readonly found: string
}

/** Follows a chain from entry to entry: docs/audit-chain.md, "linked". Of an entry of version 0 it looks at number and previous hash. */
export class ChainWalk {
  readonly hostId: string
  #place: ChainPlace
  #isProtected: boolean

  constructor(hostId: string, place: ChainPlace) {
    this.hostId = hostId
    this.#place = place
    this.#isProtected = place.sequenceNum !== '0' && place.linkHash !== unprotectedLinkHash(place.eventHash)
  }

  /** The last entry that was stepped on, or where the walk began. */
  get place(): ChainPlace {
    return this.#place
  }

  /** Goes on to the next entry. Returns what is wrong with it; the walk is over then. */
  step(entry: EntryFields, payloadSha256: string): WalkProblem | undefined {
    const { sequenceNum, prevHash, eventHash, rowHash } = entry
    const expectedSequence = String(BigInt(this.#place.sequenceNum) + 1n)
    if (sequenceNum !== expectedSequence) {
      return { kind: 'gap', expected: `entry ${expectedSequence}`, found: `entry ${sequenceNum}` }
    }
    if (prevHash !== this.#place.eventHash) {
      return { kind: 'broken-link', expected: this.#place.eventHash, found: prevHash }
    }
    if (entry.hashVersion === 0) return this.#stepUnprotected(entry)
    this.#isProtected = true
    const linkHash = linkHashOfDigest(
      {
        ...entry,
        hostId: this.hostId,
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

  #stepUnprotected({ sequenceNum, eventHash, rowHash }: EntryFields): WalkProblem | undefined {
    if (this.#isProtected) {
      return { kind: 'altered-row', expected: 'hash_version 1, as before it', found: 'hash_version 0' }
    }
    if (rowHash !== null) {
      return { kind: 'altered-row', expected: 'no row_hash in version 0', found: `row_hash ${rowHash}` }
    }
    this.#place = { sequenceNum, eventHash, linkHash: unprotectedLinkHash(eventHash) }
    return undefined
  }
}

/** The chain in the database is not what it has to be. */
export function chainDamaged(
  hostId: string,
  sequenceNum: string,
  { expected, found }: Omit<WalkProblem, 'kind'>,
): TripwireStorageError {
  return new TripwireStorageError(
    'AUDIT_DAMAGED',
    `host ${hostId}, entry ${sequenceNum}: expected ${expected}, found ${found}`,
    { hint: 'tripwire-storage audit verify' },
  )
}
