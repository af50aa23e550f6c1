import { InvalidInputError } from '../../errors.ts'
import { systemCode } from '../../files/new-file.ts'
import type { AuditEvidenceFinding, AuditEvidenceVerification } from '../../model/audit-evidence.ts'
import { parseObject, parseText } from '../../model/input.ts'
import { type Checkpoint, parseCheckpointText } from '../checkpoint/checkpoint-text.ts'
import { headText } from '../checkpoint/head.ts'
import { payloadDigest } from '../link-hash.ts'
import { verifyInclusion } from '../merkle.ts'
import type { NoteVerifier } from '../note/audit-key.ts'
import { parseBase64 } from '../note/base64.ts'
import { readVerifier } from '../note/key-files.ts'
import { openNote } from '../note/signed-note.ts'
import type { BundleLine, CheckpointLine, ContextLine, EntryLine, HeaderLine } from './bundle-lines.ts'
import { ChainWalk } from './chain-walk.ts'
import { readBundleLines, UnreadableBundleError } from './read-bundle-lines.ts'

const LONGEST_PATH = 4096
/** What is no damage, and leaves something that cannot be told. */
const UNKNOWN: ReadonlySet<AuditEvidenceFinding['kind']> = new Set(['no-key', 'unreadable', 'unprotected'])

/** Called for each entry of a bundle, in the order of the chain, before anything is known of the whole. */
export type OnEvidenceEntry = (entry: EntryLine) => void

/** Who reads a bundle along with its verification. */
export interface BundleReader {
  readonly onEntry?: OnEvidenceEntry
  readonly signal?: AbortSignal
}

/**
 * Verifies a bundle by itself: no database, no network. Its entries must follow from each other, lead to a head, and that head must
 * be in the tree that a trusted key signed.
 * @throws InvalidInputError when there is no such file; TripwireStorageError AUDIT_KEY_UNUSABLE.
 */
export async function verifyAuditEvidence(options: {
  /** The path of the bundle. */
  readonly bundle: string
  /** The public key that signed the checkpoint: its text or the path of its file. Without it nothing can be proven. */
  readonly key?: string | undefined
}): Promise<AuditEvidenceVerification> {
  const given = parseObject('options', options, ['bundle', 'key'])
  const bundle = parseText('options.bundle', given.bundle, LONGEST_PATH)
  const verifier = given.key === undefined ? undefined : await readVerifier('options.key', given.key)
  return verifyBundle('options.bundle', bundle, verifier)
}

/** The same for a key that was read already. */
export async function verifyBundle(
  field: string,
  path: string,
  verifier: NoteVerifier | undefined,
  { onEntry = () => undefined, signal }: BundleReader = {},
): Promise<AuditEvidenceVerification> {
  const reading = new BundleReading(verifier, onEntry)
  try {
    for await (const line of readBundleLines(path)) {
      signal?.throwIfAborted()
      if (!reading.take(line)) break
    }
  } catch (error) {
    if (systemCode(error) !== undefined) {
      throw new InvalidInputError(field, path, 'the path of a bundle that can be read', { cause: error })
    }
    if (!(error instanceof UnreadableBundleError)) throw error
    reading.fail({
      kind: 'unreadable',
      sequenceNum: null,
      expected: 'a line of an evidence bundle',
      found: `line ${error.line}: ${error.message}`,
    })
  }
  return reading.result()
}

/** Takes the lines of a bundle in their order. */
class BundleReading {
  readonly #verifier: NoteVerifier | undefined
  readonly #onEntry: OnEvidenceEntry
  readonly #findings: AuditEvidenceFinding[] = []
  #header: HeaderLine | undefined
  #walk: ChainWalk | undefined
  #first: string | null = null
  #last: string | null = null
  #entries = 0
  #rowProtected = 0
  #unprotected = 0
  #lastUnprotected: string | null = null
  #isInContext = false
  #isOver = false
  #checkpoint: Checkpoint | undefined

  constructor(verifier: NoteVerifier | undefined, onEntry: OnEvidenceEntry) {
    this.#verifier = verifier
    this.#onEntry = onEntry
  }

  /** Returns whether it is worth going on. */
  take(line: BundleLine): boolean {
    if (this.#isOver) this.#outOfOrder('nothing after the checkpoint', line)
    else if (line.kind === 'header') this.#takeHeader(line)
    else if (!this.#walk) this.#outOfOrder('a header first', line)
    else if (line.kind === 'checkpoint') this.#takeCheckpoint(line, this.#walk)
    else this.#takeEntry(line, this.#walk)
    return this.#findings.length === 0
  }

  fail(finding: AuditEvidenceFinding): void {
    this.#findings.push(finding)
  }

  result(): AuditEvidenceVerification {
    if (this.#findings.length === 0 && !this.#isOver) {
      this.fail({ kind: 'unreadable', sequenceNum: null, expected: 'a checkpoint at the end', found: 'none' })
    }
    if (this.#unprotected > 0) {
      const sequenceNum = this.#lastUnprotected
      const found = `hash_version 0, up to entry ${sequenceNum}`
      this.fail({ kind: 'unprotected', sequenceNum, expected: 'hash_version 1', found })
    }
    return {
      verdict: this.#verdict(),
      findings: this.#findings,
      hostId: this.#header?.hostId ?? null,
      hostname: this.#header?.hostname ?? null,
      firstSequence: this.#first,
      lastSequence: this.#last,
      entries: this.#entries,
      recomputed: this.#entries - this.#rowProtected - this.#unprotected,
      rowProtected: this.#rowProtected,
      unprotected: this.#unprotected,
      checkpoint: this.#checkpoint ? { origin: this.#checkpoint.origin, time: this.#checkpoint.time } : null,
    }
  }

  /** Whoever has no key, or another one, knows nothing; whoever cannot read it all, either. Of what nothing protected, nobody knows. */
  #verdict(): AuditEvidenceVerification['verdict'] {
    if (this.#findings.length === 0) return 'intact'
    return this.#findings.every(({ kind }) => UNKNOWN.has(kind)) ? 'cannot-tell' : 'damaged'
  }

  #takeHeader(line: HeaderLine): void {
    if (this.#header) {
      this.#outOfOrder('one header', line)
    } else {
      this.#header = line
      this.#walk = new ChainWalk(line.hostId, line.previous)
    }
  }

  #takeEntry(line: EntryLine | ContextLine, walk: ChainWalk): void {
    const isContext = line.kind === 'context'
    if (this.#isInContext && !isContext) {
      this.#outOfOrder('entries before their context', line)
      return
    }
    this.#isInContext = isContext
    const problem = walk.step(line, isContext ? line.payloadSha256 : digestOf(line))
    if (problem) this.fail({ ...problem, sequenceNum: line.sequenceNum })
    if (problem || isContext) return
    this.#first ??= line.sequenceNum
    this.#last = line.sequenceNum
    this.#entries++
    if (line.hashVersion === 0) {
      this.#unprotected++
      this.#lastUnprotected = line.sequenceNum
    } else if (line.rowHash !== null) {
      this.#rowProtected++
    }
    this.#onEntry(line)
  }

  #takeCheckpoint(line: CheckpointLine, walk: ChainWalk): void {
    this.#isOver = true
    const { sequenceNum, linkHash } = walk.place
    if (this.#entries === 0) this.#outOfOrder('an entry before the checkpoint', line)
    const checkpoint = this.#openNote(line)
    if (!checkpoint) return
    const hostId = this.#header?.hostId ?? ''
    const leaf = headText({ hostId, sequenceNum: BigInt(sequenceNum), linkHash })
    const proof = line.proof.map(each => parseBase64(each) ?? Buffer.alloc(0))
    const { root, size } = checkpoint
    if (!verifyInclusion({ leaf: Buffer.from(leaf), index: line.leafIndex, size, proof, root })) {
      const expected = `a proof that "${leaf}" is in the signed tree`
      this.fail({ kind: 'wrong-head', sequenceNum, expected, found: 'a proof of something else' })
    } else {
      this.#checkpoint = checkpoint
    }
  }

  #openNote({ note }: CheckpointLine): Checkpoint | undefined {
    const sequenceNum = null
    if (!this.#verifier) {
      this.fail({
        kind: 'no-key',
        sequenceNum,
        expected: 'a public key to check the signature by',
        found: 'none',
      })
      return undefined
    }
    const opened = openNote(Buffer.from(note), [this.#verifier])
    const key = `${this.#verifier.name}+${this.#verifier.keyHash}`
    if (opened.outcome === 'noKnownKey') {
      const found = opened.signedBy.slice(0, 5).join(', ')
      this.fail({ kind: 'no-key', sequenceNum, expected: `a signature by ${key}`, found })
    } else if (opened.outcome === 'wrongSignature') {
      const found = 'a signature that this key did not make'
      this.fail({ kind: 'wrong-signature', sequenceNum, expected: `a signature by ${key}`, found })
    } else if (opened.outcome === 'malformed') {
      this.fail({ kind: 'unreadable', sequenceNum, expected: 'a signed note', found: opened.reason })
    } else {
      const checkpoint = parseCheckpointText(opened.text)
      if (checkpoint?.origin === this.#verifier.name) return checkpoint
      this.fail({
        kind: 'unreadable',
        sequenceNum,
        expected: `a checkpoint of ${key}`,
        found: 'another note',
      })
    }
    return undefined
  }

  #outOfOrder(expected: string, line: BundleLine): void {
    this.fail({ kind: 'unreadable', sequenceNum: null, expected, found: `a line of kind ${line.kind}` })
  }
}

/** A payload that is no JSON has no digest, and so no link. */
function digestOf({ payload }: EntryLine): string {
  try {
    return payloadDigest(payload)
  } catch {
    return 'a payload that is not JSON'
  }
}
