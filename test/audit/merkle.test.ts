import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type InclusionClaim,
  inclusionProof,
  leafHash,
  MerkleRoot,
  merkleRoot,
  verifyInclusion,
} from '../../src/audit/merkle.ts'
import { isIncludedBySigstore } from './sigstore.ts'

/** The tree, roots and audit paths that the implementations of Certificate Transparency test with. */
const PUBLISHED_LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(hex => Buffer.from(hex, 'hex'))
const PUBLISHED_ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
] as const
const PUBLISHED_PROOFS: readonly (readonly [index: number, size: number, proof: readonly string[]])[] = [
  [0, 1, []],
  [
    0,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    5,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    1,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
]

const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()

/** The definition of RFC 6962, word for word. */
function naiveRoot(leaves: readonly Uint8Array[]): Buffer {
  const [first] = leaves
  if (first === undefined) return sha256()
  if (leaves.length === 1) return sha256(Buffer.of(0), first)
  const split = splitOf(leaves.length)
  return sha256(Buffer.of(1), naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split)))
}

function naiveProof(leaves: readonly Uint8Array[], index: number): readonly Buffer[] {
  if (leaves.length === 1) return []
  const split = splitOf(leaves.length)
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)]
  return index < split
    ? [...naiveProof(left, index), naiveRoot(right)]
    : [...naiveProof(right, index - split), naiveRoot(left)]
}

const leaf = fc.uint8Array({ maxLength: 40 })
const leaves = fc.array(leaf, { minLength: 1, maxLength: 70 })
const leavesAndIndex = leaves.chain(all => fc.tuple(fc.constant(all), fc.nat(all.length - 1)))

describe('the Merkle tree', () => {
  it('has the published roots and audit paths', () => {
    for (const [size, root] of PUBLISHED_ROOTS.entries()) {
      expect(merkleRoot(PUBLISHED_LEAVES.slice(0, size)).toString('hex')).toBe(root)
    }
    for (const [index, size, published] of PUBLISHED_PROOFS) {
      const proof = inclusionProof(PUBLISHED_LEAVES.slice(0, size), index)
      expect(proof.map(each => each.toString('hex'))).toEqual(published)
      const root = Buffer.from(PUBLISHED_ROOTS[size] ?? '', 'hex')
      const published32 = published.map(hex => Buffer.from(hex, 'hex'))
      const given = PUBLISHED_LEAVES[index] ?? Buffer.of()
      expect(verifyInclusion({ leaf: given, index, size, proof: published32, root })).toBe(true)
    }
  })

  it('is the one that the definition gives, leaf by leaf', () => {
    fc.assert(
      fc.property(fc.array(leaf, { maxLength: 70 }), all => {
        const tree = new MerkleRoot()
        for (const [index, each] of all.entries()) {
          expect(tree.root()).toEqual(naiveRoot(all.slice(0, index)))
          tree.add(each)
        }
        expect(tree.size).toBe(all.length)
        expect(tree.root()).toEqual(naiveRoot(all))
        expect(merkleRoot(all)).toEqual(naiveRoot(all))
      }),
      { numRuns: 60 },
    )
  })

  it('is right over tens of thousands of leaves', () => {
    // The root over 2^k equal leaves is k nodes over one.
    const tree = new MerkleRoot()
    const each = Buffer.from('leaf')
    let expected = leafHash(each)
    for (let count = 0; count < 65_536; count++) tree.add(each)
    for (let level = 0; level < 16; level++) expected = sha256(Buffer.of(1), expected, expected)
    expect(tree.root()).toEqual(expected)
  })
})

describe('an inclusion proof', () => {
  it('is the audit path of the definition, and verifies here and elsewhere', () => {
    fc.assert(
      fc.property(leavesAndIndex, ([all, index]) => {
        const proof = inclusionProof(all, index)
        expect(proof).toEqual(naiveProof(all, index))
        const claim = {
          leaf: all[index] ?? Buffer.of(),
          index,
          size: all.length,
          proof,
          root: naiveRoot(all),
        }
        expect(verifyInclusion(claim)).toBe(true)
        expect(isIncludedBySigstore(claim)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('does not verify once anything of it but the size is changed', () => {
    const other = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(
        leavesAndIndex,
        leaf,
        fc.nat(79),
        other,
        fc.nat(),
        (given, otherLeaf, otherIndex, hash, at) => {
          const [all, index] = given
          const proof = inclusionProof(all, index)
          const claim: InclusionClaim = {
            leaf: all[index] ?? Buffer.of(),
            index,
            size: all.length,
            proof,
            root: naiveRoot(all),
          }
          const place = at % (proof.length + 1)
          const damaged: readonly InclusionClaim[] = [
            { ...claim, leaf: otherLeaf },
            { ...claim, leaf: Buffer.concat([Buffer.of(1), ...proof.slice(0, 2)]) },
            { ...claim, index: otherIndex },
            { ...claim, index: all.length },
            { ...claim, root: hash },
            { ...claim, root: claim.root.subarray(1) },
            { ...claim, root: Buffer.of() },
            { ...claim, proof: proof.toSpliced(place, 0, Buffer.from(hash)) },
            { ...claim, proof: proof.toSpliced(place, 0, Buffer.of()) },
            { ...claim, proof: proof.toSpliced(place, 1) },
            { ...claim, proof: proof.toSpliced(place, 1, flipBit(proof[place] ?? leafHash(otherLeaf), at)) },
            { ...claim, proof: proof.toReversed() },
          ]
          for (const each of damaged) {
            const isTrue =
              each.index < all.length &&
              Buffer.compare(all[each.index] ?? Buffer.of(), each.leaf) === 0 &&
              Buffer.compare(each.root, claim.root) === 0 &&
              isDeepStrictEqual(each.proof, naiveProof(all, each.index))
            expect(verifyInclusion(each)).toBe(isTrue)
            expect(isIncludedBySigstore(each)).toBe(isTrue)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('is judged as elsewhere for any size and place, also where the numbers are beyond 32 bits', () => {
    const number = fc.oneof(fc.nat(20), fc.nat(2 ** 31 - 1), fc.maxSafeNat())
    const hashes = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 60 })
    fc.assert(
      fc.property(leaf, number, number, hashes, (given, index, size, path) => {
        const proof = path.slice(0, expectedLength(index, size) ?? path.length)
        const root = rootOf(given, index, size, proof)
        const claim = { leaf: given, index, size, proof, root: root ?? Buffer.alloc(32) }
        const isValid = root !== undefined && index < size && proof.length === expectedLength(index, size)
        expect(verifyInclusion(claim)).toBe(isValid)
        expect(isIncludedBySigstore(claim)).toBe(isValid)
      }),
      { numRuns: 2000 },
    )
  })

  it('of a leaf that is not there cannot be made', () => {
    for (const index of [-1, 3, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => inclusionProof(PUBLISHED_LEAVES.slice(0, 3), index)).toThrow(RangeError)
    }
    expect(() => inclusionProof([], 0)).toThrow(RangeError)
  })

  it.each([
    [0, 0],
    [1, 0],
    [1, 1],
    [0.5, 1],
    [-1, 1],
    [Number.NaN, 1],
    [0, Number.POSITIVE_INFINITY],
  ])('does not verify for place %d of %d leaves', (index, size) => {
    const claim = { leaf: Buffer.of(), index, size, proof: [], root: leafHash(Buffer.of()) }
    expect(verifyInclusion(claim)).toBe(false)
  })
})

function flipBit(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  const place = (at >> 3) % copy.length
  copy[place] = (copy[place] ?? 0) ^ (1 << (at & 7))
  return copy
}

/** How long the path of a leaf is, from the definition: halve the tree until the leaf is alone. */
function expectedLength(index: number, size: number): number | undefined {
  if (index >= size) return undefined
  let length = 0
  for (let [place, left] = [index, size]; left > 1; length++) {
    const split = splitOf(left)
    ;[place, left] = place < split ? [place, split] : [place - split, left - split]
  }
  return length
}

/** The root that a path leads to, from the definition. */
function rootOf(
  given: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
): Buffer | undefined {
  if (index >= size) return undefined
  if (size === 1) return sha256(Buffer.of(0), given)
  const neighbour = proof.at(-1)
  if (neighbour === undefined) return undefined
  const split = splitOf(size)
  const rest = proof.slice(0, -1)
  const inner =
    index < split ? rootOf(given, index, split, rest) : rootOf(given, index - split, size - split, rest)
  if (inner === undefined) return undefined
  return index < split ? sha256(Buffer.of(1), inner, neighbour) : sha256(Buffer.of(1), neighbour, inner)
}

/** Exact also where `Math.log2` rounds. */
function splitOf(size: number): number {
  let power = 1
  while (power * 2 < size) power *= 2
  return power
}
