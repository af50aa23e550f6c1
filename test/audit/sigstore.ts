/** What another implementation of the field says: the verifier of Sigstore, by which npm checks where packages come from. */
import type { KeyObject } from 'node:crypto'
import { LogCheckpoint, verifyCheckpoint } from '@sigstore/verify/dist/tlog/checkpoint.js'
import { verifyMerkleInclusion } from '@sigstore/verify/dist/tlog/merkle.js'
import type { InclusionClaim } from '../../src/audit/merkle.ts'

type LogEntry = Parameters<typeof verifyCheckpoint>[0]

export interface SigstoreKey {
  readonly name: string
  /** Eight hexadecimal digits. */
  readonly keyHash: string
  readonly publicKey: KeyObject
}

/** Whether Sigstore finds the leaf in the tree. */
export function isIncludedBySigstore(claim: InclusionClaim): boolean {
  const root = new LogCheckpoint('test', BigInt(claim.size), Buffer.from(claim.root), [])
  return doesNotThrow(() => verifyMerkleInclusion(entryOf(claim, ''), root))
}

/** Whether Sigstore accepts the note as a checkpoint of this key, and then finds the leaf in its tree. */
export function isProvenBySigstore(note: string, claim: InclusionClaim, key: SigstoreKey): boolean {
  const log = {
    logID: Buffer.from(key.keyHash, 'hex'),
    baseURL: key.name,
    publicKey: key.publicKey,
    validFor: { start: new Date(0), end: new Date(8.64e15) },
  }
  const entry = entryOf(claim, note)
  return doesNotThrow(() => verifyMerkleInclusion(entry, verifyCheckpoint(entry, [log])))
}

function entryOf(claim: InclusionClaim, note: string): LogEntry {
  return {
    logIndex: String(claim.index),
    logId: { keyId: Buffer.of() },
    kindVersion: { kind: 'test', version: '1' },
    integratedTime: '0',
    inclusionPromise: undefined,
    inclusionProof: {
      logIndex: String(claim.index),
      rootHash: Buffer.from(claim.root),
      treeSize: String(claim.size),
      hashes: claim.proof.map(each => Buffer.from(each)),
      checkpoint: { envelope: note },
    },
    canonicalizedBody: Buffer.from(claim.leaf),
  }
}

/** Any error is a refusal: a malformed note may fail in more than one way. */
function doesNotThrow(check: () => void): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}
