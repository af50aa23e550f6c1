import type { TimestampInput } from './timestamp.ts'

/** What `exportAuditEvidence` exports, and where to. */
export interface AuditEvidenceOptions {
  readonly hostId: string
  /** The first moment of `createdAt` that is included. Defaults to the beginning. */
  readonly from?: TimestampInput | undefined
  /** The first moment of `createdAt` that is not included any more. Defaults to the checkpoint. */
  readonly to?: TimestampInput | undefined
  /** The path of a checkpoint whose tree holds the entries. */
  readonly checkpoint: string
  /** The public key that signed it: its text, or the path of a file that holds it. */
  readonly key: string
  /** Where the bundle is written. Nothing is written over. */
  readonly out: string
  readonly signal?: AbortSignal | undefined
}

/** A bundle that was written. */
export interface AuditEvidence {
  readonly path: string
  readonly hostId: string
  /** The numbers of the first and the last entry. */
  readonly firstSequence: number
  readonly lastSequence: number
  readonly entries: number
  /** Of these, how many nothing protected when they were written. The bundle shows them, and proves nothing of what they hold. */
  readonly unprotected: number
  /** How many later entries lead to the head that was signed. They are in the bundle without their payloads. */
  readonly context: number
}

/** What is wrong with a bundle. */
export interface AuditEvidenceFinding {
  readonly kind:
    | 'gap'
    | 'broken-link'
    | 'altered-row'
    | 'wrong-head'
    | 'wrong-signature'
    | 'unreadable'
    | 'no-key'
    | 'unprotected'
  readonly sequenceNum: string | null
  readonly expected: string
  readonly found: string
}

/** What a bundle proves. */
export interface AuditEvidenceVerification {
  /**
   * `cannot-tell`: it was not signed by the key given, or could not be read, and nothing is proven then; or it holds entries that
   * nothing protected, and the others are proven when `checkpoint` is there.
   */
  readonly verdict: 'intact' | 'damaged' | 'cannot-tell'
  readonly findings: readonly AuditEvidenceFinding[]
  readonly hostId: string | null
  /** As the database knew it when the bundle was made. No hash covers it. */
  readonly hostname: string | null
  readonly firstSequence: string | null
  readonly lastSequence: string | null
  readonly entries: number
  /** Of the entries, those whose event hash is ours and was recomputed. */
  readonly recomputed: number
  /** Of the entries, those of version 0. Nothing is proven of what they hold. */
  readonly unprotected: number
  /** Of the entries, those whose event hash follows a scheme of their writer. Their rows are proven, that hash is not. */
  readonly rowProtected: number
  /** The checkpoint that the entries were proven by; `null` when none of a key given was there. */
  readonly checkpoint: { readonly origin: string; readonly time: string } | null
}

/** What `pruneAuditChain` deletes. */
export interface AuditPruneOptions {
  readonly hostId: string
  /** The path of a bundle that holds the entries, from the first one that is left. They are deleted up to its last one. */
  readonly bundle: string
  /**
   * The private key: its text, or the path of a file that holds it and that only its owner can use. It signs the manifest, and
   * must be the one that signed the bundle's checkpoint.
   */
  readonly key: string
  /** Who does it, 1 to 255 characters; it stands in the audit entry. */
  readonly actor: string
  readonly signal?: AbortSignal | undefined
}

/** A prefix of a chain that was deleted. */
export interface AuditPruning {
  readonly hostId: string
  readonly firstSequence: number
  readonly throughSequence: number
  readonly entries: number
  /** The number of the entry that records it in the same chain. */
  readonly recordedAs: number
  /** The signed note that stands for the prefix from now on. */
  readonly manifest: string
}
