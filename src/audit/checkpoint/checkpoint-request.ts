import { access } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { InvalidInputError } from '../../errors.ts'
import type { AuditCheckpointProgress } from '../../model/audit-checkpoint.ts'
import { parseCallOptions } from '../../model/call-options.ts'
import { parseObject, parseOptional } from '../../model/input.ts'
import type { NoteSigner, NoteVerifier } from '../note/audit-key.ts'
import { readSigner, readTrustedKeys } from '../note/key-files.ts'
import {
  headsPath,
  parseCheckpointPath,
  pathTaken,
  readCheckpoint,
  type SignedCheckpoint,
} from './checkpoint-files.ts'
import { newestInFolder } from './checkpoint-folder.ts'

/** The options of `createAuditCheckpoint`, with what the files say that they name. */
export interface CheckpointRequest {
  readonly signer: NoteSigner
  /** The public key of the signer, and those of before. */
  readonly trusted: readonly NoteVerifier[]
  /** Entries after its heads are verified; without it, all entries. */
  readonly basis: SignedCheckpoint | undefined
  /** The heads of these must be found again. */
  readonly earlier: readonly SignedCheckpoint[]
  readonly out: string | undefined
  readonly folder: string | undefined
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((progress: AuditCheckpointProgress) => void) | undefined
}

const OPTIONS = ['key', 'trustedKeys', 'previous', 'out', 'folder', 'signal', 'onProgress'] as const

/**
 * Reads the options and the files that they name. Everything that can be refused is refused here, before entries are verified.
 * @throws InvalidInputError; TripwireStorageError AUDIT_KEY_UNUSABLE, AUDIT_CHECKPOINT_INVALID, AUDIT_CHECKPOINT_UNVERIFIED,
 *   AUDIT_FILE_FAILED.
 */
export async function readRequest(options: unknown): Promise<CheckpointRequest> {
  const given = parseObject('options', options, OPTIONS)
  const signer = await readSigner('options.key', given.key)
  const out = parseOptional(given.out, value => parseCheckpointPath('options.out', value)) ?? undefined
  if (out !== undefined) await requireFree('options.out', out)
  const folder = parseOptional(given.folder, value => parsePath('options.folder', value)) ?? undefined
  const trusted = [signer.verifier, ...(await readTrustedKeys('options.trustedKeys', given.trustedKeys))]
  const newest = folder === undefined ? undefined : await newestInFolder('options.folder', folder, trusted)
  const previous =
    given.previous === undefined || given.previous === null
      ? undefined
      : await readCheckpoint('options.previous', given.previous, trusted)
  return {
    signer,
    trusted,
    basis: previous ?? newest,
    earlier: distinct([previous, newest].filter(each => each !== undefined)),
    out,
    folder,
    signal: parseCallOptions('options', given).signal,
    onProgress: parseListener(given.onProgress),
  }
}

function parsePath(field: string, value: unknown): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  throw new InvalidInputError(field, value, 'a path')
}

async function requireFree(field: string, path: string): Promise<void> {
  for (const each of [path, headsPath(path)]) {
    const isTaken = await access(each).then(
      () => true,
      () => false,
    )
    if (isTaken) throw pathTaken(field, each)
  }
}

function parseListener(value: unknown): ((progress: AuditCheckpointProgress) => void) | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'function') throw new InvalidInputError('options.onProgress', value, 'a function')
  return progress => value(progress)
}

/** The newest in the folder is often the previous one, too. */
function distinct(all: readonly SignedCheckpoint[]): readonly SignedCheckpoint[] {
  return all.filter(
    (each, index) => index === all.findIndex(other => isDeepStrictEqual(other.checkpoint, each.checkpoint)),
  )
}
