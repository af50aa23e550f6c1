import { open, rm } from 'node:fs/promises'
import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import { systemCode, writeNewFile } from '../../files/new-file.ts'
import { readAtMost } from '../../files/read-at-most.ts'
import { type NoteVerifier, verifierText } from '../note/audit-key.ts'
import { LONGEST_NOTE_BYTES, openNote } from '../note/signed-note.ts'
import { type Checkpoint, parseCheckpointText, parseHeads } from './checkpoint-text.ts'
import { type Head, LONGEST_HEAD_BYTES } from './head.ts'

/** A checkpoint whose signature is right, with the heads that it was signed over. */
export interface SignedCheckpoint {
  readonly path: string
  /** The note as it stands in the file. */
  readonly note: string
  readonly checkpoint: Checkpoint
  /** In the order of their hosts. */
  readonly heads: readonly Head[]
}

/** The two files of a checkpoint, as text. */
export interface CheckpointFiles {
  readonly note: string
  readonly heads: string
}

/** Of unknown signers in a message. */
const MOST_NAMES = 5
const CHECKPOINT_END = '.checkpoint'
/** Whoever verifies need not be who signs. What they hold is not more secret than hashes are. */
const EVERYBODY_READS = 0o644

/** @throws InvalidInputError when the path does not end with `.checkpoint`. */
export function parseCheckpointPath(field: string, path: unknown): string {
  if (typeof path === 'string' && path.endsWith(CHECKPOINT_END) && !path.includes('\0')) return path
  throw new InvalidInputError(field, path, `a path that ends with ${CHECKPOINT_END}`)
}

/** The heads stand beside the note. */
export function headsPath(path: string): string {
  return `${path.slice(0, -CHECKPOINT_END.length)}.heads`
}

/**
 * Opens the note of a checkpoint, without the heads.
 * @param where names the note in errors.
 * @throws TripwireStorageError AUDIT_CHECKPOINT_INVALID when it is malformed, or not signed by the key that it names;
 *   AUDIT_CHECKPOINT_UNVERIFIED when none of the trusted keys has signed it, so that nothing can be told.
 */
export function openCheckpoint(
  where: string,
  note: Uint8Array,
  trusted: readonly NoteVerifier[],
): Checkpoint {
  const opened = openNote(note, trusted)
  switch (opened.outcome) {
    case 'malformed':
      throw invalid(where, `this is no signed note: ${opened.reason}`)
    case 'wrongSignature':
      throw invalid(where, `the key ${opened.key.name}+${opened.key.keyHash} did not sign this text`)
    case 'noKnownKey':
      throw new TripwireStorageError(
        'AUDIT_CHECKPOINT_UNVERIFIED',
        `${where}: signed by ${opened.signedBy.slice(0, MOST_NAMES).join(', ')}, which is none of the trusted keys`,
        { hint: `trusted: ${trusted.map(verifierText).join(', ') || 'no key at all'}` },
      )
    case 'verified': {
      const checkpoint = parseCheckpointText(opened.text)
      if (checkpoint === undefined) throw invalid(where, 'this is a signed note, but no checkpoint')
      if (!opened.signedBy.some(key => key.name === checkpoint.origin))
        throw invalid(where, `the checkpoint of ${checkpoint.origin} is signed by another key`)
      return checkpoint
    }
  }
}

/**
 * Reads a checkpoint and the heads beside it. Nothing is told of them before the signature is right.
 * @throws InvalidInputError when `path` cannot be that of a checkpoint, or there is no such file.
 * @throws TripwireStorageError AUDIT_CHECKPOINT_INVALID also when the heads are not those that were signed;
 *   AUDIT_CHECKPOINT_UNVERIFIED; AUDIT_FILE_FAILED when the heads cannot be read.
 */
export async function readCheckpoint(
  field: string,
  path: unknown,
  trusted: readonly NoteVerifier[],
): Promise<SignedCheckpoint> {
  const notePath = parseCheckpointPath(field, path)
  const note = await readNote(field, notePath)
  const checkpoint = openCheckpoint(notePath, note, trusted)
  const heads = parseHeads(await readHeadsFile(headsPath(notePath), checkpoint), checkpoint)
  if (typeof heads === 'string') throw invalid(headsPath(notePath), heads)
  return { path: notePath, note: note.toString(), checkpoint, heads }
}

async function readNote(field: string, path: string): Promise<Buffer> {
  try {
    const note = await readWhole(path, LONGEST_NOTE_BYTES)
    if (note !== undefined) return note
  } catch (cause) {
    throw new InvalidInputError(field, path, 'the path of a checkpoint that can be read', { cause })
  }
  throw invalid(path, 'this is too long to be a checkpoint')
}

/** As many bytes as the signed number of heads can have. */
async function readHeadsFile(path: string, { size }: Checkpoint): Promise<string> {
  try {
    const bytes = await readWhole(path, size * LONGEST_HEAD_BYTES)
    // A heads file is ASCII; any other byte is in no head.
    if (bytes !== undefined) return bytes.toString('latin1')
  } catch (cause) {
    throw new TripwireStorageError(
      'AUDIT_FILE_FAILED',
      `${path}: the heads of the checkpoint cannot be read`,
      {
        cause,
        hint: 'the two files of a checkpoint belong together: copy both',
      },
    )
  }
  throw invalid(path, `this is too long to be ${size} heads`)
}

async function readWhole(path: string, maxBytes: number): Promise<Buffer | undefined> {
  await using handle = await open(path, 'r')
  return await readAtMost(handle, maxBytes)
}

/**
 * Writes both files of a checkpoint, the note last: where it stands, its heads stand too. Neither is written over another file.
 * @throws InvalidInputError when one of them is there already; TripwireStorageError AUDIT_FILE_FAILED.
 */
export async function writeCheckpoint(
  field: string,
  path: string,
  { note, heads }: CheckpointFiles,
): Promise<void> {
  await writeFileOnce(field, headsPath(path), heads)
  try {
    await writeFileOnce(field, path, note)
  } catch (error) {
    // Without their note they are nothing, and would be in the way of the next try.
    await rm(headsPath(path), { force: true }).catch(() => undefined)
    throw error
  }
}

async function writeFileOnce(field: string, path: string, content: string): Promise<void> {
  try {
    await writeNewFile(path, content, EVERYBODY_READS)
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST') throw pathTaken(field, path, cause)
    throw new TripwireStorageError('AUDIT_FILE_FAILED', `${path}: the checkpoint cannot be written`, {
      cause,
    })
  }
}

export function pathTaken(field: string, path: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(field, path, 'a path where no file is; a checkpoint is never written over', {
    cause,
  })
}

function invalid(where: string, what: string): TripwireStorageError {
  return new TripwireStorageError('AUDIT_CHECKPOINT_INVALID', `${where}: ${what}`)
}
