/** How `createAuditCheckpoint` signs, and where it writes. */
export interface AuditCheckpointOptions {
  /** The private key: its text, or the path of a file that holds it and that only its owner can use. */
  readonly key: string
  /**
   * Public keys of before, each its text or the path of its file: earlier checkpoints and the manifests of prunings may be
   * signed by them, too. Defaults to none.
   */
  readonly trustedKeys?: readonly string[] | undefined
  /**
   * The path of an earlier checkpoint. What was added since is verified, and each of its heads must be found
   * again. Defaults to the newest one in `folder`; without any, all entries are verified.
   */
  readonly previous?: string | undefined
  /** Where the checkpoint is written: a path that ends with `.checkpoint`, with the heads beside it. */
  readonly out?: string | undefined
  /** A folder that keeps all checkpoints, each named for its time. Each head of the newest one must be found again. */
  readonly folder?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Called now and then while entries are verified. What it throws ends the call, and is thrown; nothing is signed then. */
  readonly onProgress?: ((progress: AuditCheckpointProgress) => void) | undefined
}

export interface AuditCheckpointProgress {
  /** How many entries are verified so far. */
  readonly entries: number
}

/** A checkpoint that was signed. */
export interface AuditCheckpoint {
  /** The name of the key. */
  readonly origin: string
  /** When it was signed, by the clock of this machine. RFC 3339, UTC. */
  readonly time: string
  /** How many hosts have a chain. */
  readonly chains: number
  /** How many entries all chains have had. */
  readonly entries: number
  /** Of the Merkle tree over the heads of all chains; Base64. */
  readonly root: string
  /** How many entries were verified now: those since the previous checkpoint, or all. */
  readonly verifiedEntries: number
  /** Of these, how many nothing protects but their number and their previous hash. */
  readonly unprotectedEntries: number
  /** The signed note: the content of the `.checkpoint` file. */
  readonly note: string
  /** The heads, one a line: the content of the `.heads` file. */
  readonly heads: string
  /** The paths of the notes that were written, in `folder` first. */
  readonly files: readonly string[]
}
