import type { AuditCheckpointProgress } from './audit-checkpoint.ts'

export const AUDIT_VERDICTS = ['intact', 'damaged', 'cannot-tell'] as const

/**
 * - `intact`: all that was checked is as it was written. What was not checked stands in `notChecked`.
 * - `damaged`: the log is not what was written.
 * - `cannot-tell`: no damage was found, and not everything could be checked that was to be checked.
 */
export type AuditVerdict = (typeof AUDIT_VERDICTS)[number]

interface FindingMeaning {
  readonly verdict: Exclude<AuditVerdict, 'intact'>
  readonly meaning: string
}

/** What a verification can find. A kind that was published keeps its meaning. */
export const AUDIT_FINDINGS = {
  'altered-row': {
    verdict: 'damaged',
    meaning: 'A column of the entry was changed: the row is not the one that was hashed.',
  },
  gap: {
    verdict: 'damaged',
    meaning: 'Entries are missing, at the beginning or between others, and no pruning accounts for them.',
  },
  'broken-link': {
    verdict: 'damaged',
    meaning:
      'The entry does not link to the one that stands before it: that one was replaced, or one of the two was put in.',
  },
  reordered: {
    verdict: 'damaged',
    meaning: 'The entry is as it was written, but stands under another number.',
  },
  duplicate: {
    verdict: 'damaged',
    meaning: 'A number stands there twice. This is the row that does not belong.',
  },
  'protection-removed': {
    verdict: 'damaged',
    meaning:
      'An entry without a hash of ours follows one that has it: it was changed, or written by a client that knows no better.',
  },
  'tail-missing': {
    verdict: 'damaged',
    meaning:
      'The newest entries of the chain are missing: the checkpoint, or the manifest of a pruning, has a later one.',
  },
  'host-missing': {
    verdict: 'damaged',
    meaning: 'The whole chain of a host is missing: the checkpoint has it.',
  },
  'standby-behind': {
    verdict: 'cannot-tell',
    meaning:
      'The chain ends before the checkpoint, in a standby that may not have received everything yet: verify the primary.',
  },
  'rolled-back': {
    verdict: 'damaged',
    meaning:
      'Most chains end before the checkpoint and none goes on after it: the log is in an older state, as after a backup was restored.',
  },
  rewritten: {
    verdict: 'damaged',
    meaning:
      'The entry has another hash than in the checkpoint, or in the manifest of a pruning: the chain was written anew, up to it at least.',
  },
  'pruning-altered': {
    verdict: 'damaged',
    meaning:
      'What is recorded of a pruning is not what its signed manifest says, or not what the chain holds.',
  },
  unconfirmed: {
    verdict: 'cannot-tell',
    meaning: 'The hash of the entry cannot be recomputed, because the entry before it is missing or damaged.',
  },
  unprotected: {
    verdict: 'cannot-tell',
    meaning:
      'Entries from before the protection, or of a client that knows no better: only their numbers and previous hashes were checked.',
  },
  'unknown-version': {
    verdict: 'cannot-tell',
    meaning: 'The entry was written by a newer version of tripwire-storage, or its version was changed.',
  },
  'pruning-unverified': {
    verdict: 'cannot-tell',
    meaning: 'The chain begins after a pruning whose signed manifest was not verified.',
  },
  'no-entries': {
    verdict: 'cannot-tell',
    meaning: 'There is no entry to be checked. Whether there was one, only a checkpoint can tell.',
  },
  'no-key': {
    verdict: 'cannot-tell',
    meaning: 'The checkpoint was not used, because no public key was given to check its signature.',
  },
  'wrong-key': {
    verdict: 'cannot-tell',
    meaning: 'The checkpoint is signed by another key than the one given.',
  },
  'checkpoint-unusable': {
    verdict: 'cannot-tell',
    meaning: 'The checkpoint is not what was signed, or its heads cannot be read.',
  },
  unreadable: {
    verdict: 'cannot-tell',
    meaning:
      'The log, or a part of it, cannot be read: a missing table or column, no right, hidden or corrupt rows.',
  },
} as const satisfies Record<string, FindingMeaning>

export type AuditFindingKind = keyof typeof AUDIT_FINDINGS

export interface AuditFinding {
  readonly kind: AuditFindingKind
  /** `null` where it concerns the whole log, or a row that has lost its host. */
  readonly hostId: string | null
  /** Decimal; as text, because an altered number may be beyond 2^53. `null` where it concerns no single entry. */
  readonly sequenceNum: string | null
  readonly expected: string
  readonly found: string
}

/** What a verification did not look at, or could not. */
export const AUDIT_NOT_CHECKED = {
  'cut-tails': 'whether the newest entries of a chain were removed',
  'missing-hosts': 'whether whole chains were removed',
  'rewritten-chains':
    'whether a chain was written anew with all its hashes, by somebody who knows this library',
  'other-hosts': 'the chains of other hosts',
  'after-checkpoint':
    'whether entries written after the checkpoint were removed, or written anew with all their hashes',
  'given-event-hashes':
    'event hashes that callers brought: their rows are covered, what they stand for is not known',
  'unprotected-entries': 'what the entries of version 0 hold',
  'pruned-entries': 'entries that were pruned',
} as const

export type AuditNotChecked = keyof typeof AUDIT_NOT_CHECKED

/** What was checked of how many entries. Each entry counts once. */
export interface AuditChecked {
  /** The hash over the whole row was recomputed, and is the event hash. */
  readonly recomputed: number
  /** The event hash is the caller's and was not recomputed. The hash over the whole row, with it, was. */
  readonly rowProtected: number
  /** Version 0: the number and the previous hash only. */
  readonly unprotected: number
  /** Damaged, or not to be checked because of damage. */
  readonly unconfirmed: number
}

/** The checkpoint that the chains were held against; its signature is right. */
export interface AuditCheckpointUsed {
  readonly path: string
  /** The name of the key. */
  readonly origin: string
  readonly time: string
  readonly chains: number
}

export interface AuditVerification {
  readonly verdict: AuditVerdict
  /** The first ones, in the order of hosts and numbers. */
  readonly findings: readonly AuditFinding[]
  /** How many there are in all. */
  readonly findingCount: number
  readonly findingsByKind: Readonly<Partial<Record<AuditFindingKind, number>>>
  readonly hosts: number
  readonly entries: number
  readonly checked: AuditChecked
  /** Chains that begin after a pruning, and of how many the signed manifest was verified. */
  readonly prunings: { readonly chains: number; readonly verified: number }
  readonly checkpoint: AuditCheckpointUsed | null
  readonly notChecked: readonly AuditNotChecked[]
  /** What was read, with the schema; `null` when it could not be found. */
  readonly table: string | null
  /** When, by the clock of the server: everything that was committed before was looked at. RFC 3339, UTC. */
  readonly readAt: string | null
}

export interface VerifyAuditOptions {
  /** Only the chain of this host. Defaults to all chains. */
  readonly hostId?: string | undefined
  /** The path of a checkpoint, with its heads beside it. Without one, `notChecked` says what it alone can tell. */
  readonly checkpoint?: string | undefined
  /** The public key of whoever signed checkpoints and prunings: its text, or the path of a file that holds it. */
  readonly key?: string | undefined
  /** Further public keys that are trusted, such as the one of before a change of keys. Each as `key`. */
  readonly trustedKeys?: readonly string[] | undefined
  /** How many findings are returned, 1 to 100,000. All are counted. Defaults to 100. */
  readonly maxFindings?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Called some hundred times a minute at most, while entries are read. What it throws ends the call, and is thrown. */
  readonly onProgress?: ((progress: AuditVerificationProgress) => void) | undefined
}

export interface AuditVerificationProgress extends AuditCheckpointProgress {
  /** How many chains are done. */
  readonly hosts: number
}

export const DEFAULT_MAX_FINDINGS = 100
