import type { NoteVerifier } from '../note/audit-key.ts'
import { openNote } from '../note/signed-note.ts'
import type { CheckPruning, PruningCheck, PruningRow } from '../verify/prunings.ts'
import { type PruningManifest, parseManifestText } from './pruning-manifest.ts'

/** Checks prunings by their signed manifests, for those who trust these keys. */
export function pruningChecker(keys: readonly NoteVerifier[]): CheckPruning {
  return pruning => {
    const results = keys.map(key => checkPruning(pruning, key))
    const result =
      results.find(each => each.outcome === 'verified') ?? results.find(each => each.outcome === 'altered')
    return result ?? results[0] ?? { outcome: 'unverified', expected: 'a trusted key', found: 'none' }
  }
}

function checkPruning(pruning: PruningRow, key: NoteVerifier): PruningCheck {
  const opened = openNote(Buffer.from(pruning.manifest), [key])
  const expected = `a manifest signed by ${key.name}+${key.keyHash}`
  switch (opened.outcome) {
    case 'noKnownKey':
      return {
        outcome: 'unverified',
        expected,
        found: `one signed by ${opened.signedBy.slice(0, 5).join(', ')}`,
      }
    case 'malformed':
      return { outcome: 'altered', expected, found: opened.reason }
    case 'wrongSignature':
      return { outcome: 'altered', expected, found: 'one that this key did not sign' }
    case 'verified':
      return compare(pruning, parseManifestText(opened.text))
  }
}

/** The signed manifest is right, so it is the row that tells something else. */
function compare(pruning: PruningRow, manifest: PruningManifest | undefined): PruningCheck {
  if (!manifest) return { outcome: 'altered', expected: 'a pruning manifest', found: 'another signed note' }
  const found = placeText(
    pruning.hostId,
    String(pruning.throughSequence),
    pruning.throughEventHash,
    pruning.throughLinkHash,
  )
  const expected = placeText(manifest.hostId, manifest.through, manifest.eventHash, manifest.linkHash)
  if (found !== expected) return { outcome: 'altered', expected, found }
  const { hostId, first, recordedAs, recordLinkHash: linkHash } = manifest
  const record = { hostId, sequenceNum: BigInt(recordedAs), linkHash }
  return { outcome: 'verified', first: BigInt(first), record }
}

function placeText(hostId: string, through: string, eventHash: string, linkHash: string): string {
  return `host ${hostId} through ${through} with event hash ${eventHash} and link hash ${linkHash}`
}
