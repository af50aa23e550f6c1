/** The Merkle tree of RFC 6962, section 2.1, over SHA-256. Numbers count to 2^53, so they are halved and never shifted. */
import { hash } from 'node:crypto'

export const HASH_BYTES = 32

const LEAF = Buffer.of(0)
const NODE = Buffer.of(1)
/** Where two subtrees meet. Written over for each, which spares an allocation a node. */
const nodeInput = Buffer.concat([NODE, Buffer.alloc(2 * HASH_BYTES)])

export function leafHash(leaf: Uint8Array): Buffer {
  return hash('sha256', Buffer.concat([LEAF, leaf]), 'buffer')
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  left.copy(nodeInput, 1)
  right.copy(nodeInput, 1 + HASH_BYTES)
  return hash('sha256', nodeInput, 'buffer')
}

/** The root over leaves that come one after the other. Holds one hash for each level of the tree. */
export class MerkleRoot {
  /** The complete subtrees so far, from left to right, each smaller than the one before: a one in the binary size each. */
  readonly #subtrees: Buffer[] = []
  #size = 0

  /** How many leaves there are. */
  get size(): number {
    return this.#size
  }

  add(leaf: Uint8Array): void {
    this.addLeafHash(leafHash(leaf))
  }

  addLeafHash(hashOfLeaf: Buffer): void {
    let subtree = hashOfLeaf
    for (let size = this.#size; size % 2 === 1; size = Math.floor(size / 2)) {
      const left = this.#subtrees.pop()
      if (left === undefined) throw new RangeError('a tree has fewer subtrees than its size says')
      subtree = nodeHash(left, subtree)
    }
    this.#subtrees.push(subtree)
    this.#size++
  }

  /** The root over the leaves so far; more may follow. Without leaves: the hash of nothing. */
  root(): Buffer {
    if (this.#subtrees.length === 0) return hash('sha256', '', 'buffer')
    return this.#subtrees.reduceRight((right, left) => nodeHash(left, right))
  }
}

export function merkleRoot(leaves: Iterable<Uint8Array>): Buffer {
  const tree = new MerkleRoot()
  for (const leaf of leaves) tree.add(leaf)
  return tree.root()
}

/**
 * The audit path of one leaf, RFC 6962, section 2.1.1: from the leaf's neighbour up to the root's child.
 * @throws RangeError when there is no such leaf.
 */
export function inclusionProof(leaves: Iterable<Uint8Array>, index: number): readonly Buffer[] {
  const hashes = Array.from(leaves, leafHash)
  if (!Number.isSafeInteger(index) || index < 0 || index >= hashes.length) {
    throw new RangeError(`a tree of ${hashes.length} leaves has no leaf ${index}`)
  }
  const proof: Buffer[] = []
  let [from, to] = [0, hashes.length]
  while (to - from > 1) {
    const middle = from + largestPowerOfTwoBelow(to - from)
    const isLeft = index < middle
    proof.push(rootBetween(hashes, isLeft ? middle : from, isLeft ? to : middle))
    if (isLeft) to = middle
    else from = middle
  }
  return proof.reverse()
}

function rootBetween(leafHashes: readonly Buffer[], from: number, to: number): Buffer {
  const tree = new MerkleRoot()
  for (const each of leafHashes.slice(from, to)) tree.addLeafHash(each)
  return tree.root()
}

function largestPowerOfTwoBelow(size: number): number {
  let power = 1
  while (power * 2 < size) power *= 2
  return power
}

export interface InclusionClaim {
  readonly leaf: Uint8Array
  /** The place of the leaf, from 0. */
  readonly index: number
  /** The number of leaves of the tree. */
  readonly size: number
  readonly proof: readonly Uint8Array[]
  readonly root: Uint8Array
}

/**
 * Whether the proof shows that the tree with this root and this size has this leaf at this place: RFC 9162, section 2.1.3.2.
 * Any input is answered, however malformed.
 */
export function verifyInclusion({ leaf, index, size, proof, root }: InclusionClaim): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false
  if (root.length !== HASH_BYTES || proof.some(each => each.length !== HASH_BYTES)) return false
  let subtree = leafHash(leaf)
  // The places of the leaf and of the last leaf among the subtrees of this level.
  let [place, last] = [index, size - 1]
  for (const each of proof) {
    if (last === 0) return false
    const neighbour = Buffer.from(each)
    if (place % 2 === 0 && place !== last) {
      subtree = nodeHash(subtree, neighbour)
    } else {
      subtree = nodeHash(neighbour, subtree)
      // The last subtree of a level has no neighbour on its right, and rises until it is one itself.
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)]
    }
    ;[place, last] = [half(place), half(last)]
  }
  return last === 0 && subtree.equals(root)
}

function half(number: number): number {
  return Math.floor(number / 2)
}
