import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import {
  type AuditFindingKind,
  type AuditVerificationProgress,
  DEFAULT_MAX_FINDINGS,
} from '../../model/audit-verification.ts'
import { parseCallOptions } from '../../model/call-options.ts'
import { parseInteger, parseObject, parseUuid } from '../../model/input.ts'
import { parseCheckpointPath, readCheckpoint, type SignedCheckpoint } from '../checkpoint/checkpoint-files.ts'
import type { NoteVerifier } from '../note/audit-key.ts'
import { readTrustedKeys, readVerifier } from '../note/key-files.ts'

const MOST_FINDINGS = 100_000

/** What is to be verified, read at the border. */
export interface VerifyRequest {
  readonly hostId: string | undefined
  /** Those that are trusted; empty when none was given. */
  readonly keys: readonly NoteVerifier[]
  readonly checkpoint: SignedCheckpoint | undefined
  /** Why the checkpoint that was given cannot be used. */
  readonly unusable: UnusableCheckpoint | undefined
  readonly maxFindings: number
  readonly signal: AbortSignal | undefined
  readonly onProgress: (progress: AuditVerificationProgress) => void
}

export interface UnusableCheckpoint {
  readonly kind: AuditFindingKind
  readonly expected: string
  readonly found: string
}

/**
 * Reads the options, the key and the checkpoint.
 * @throws InvalidInputError, TripwireStorageError AUDIT_KEY_UNUSABLE.
 */
export async function readVerifyRequest(options: unknown): Promise<VerifyRequest> {
  const given = parseObject('options', options ?? {}, [
    'hostId',
    'checkpoint',
    'key',
    'trustedKeys',
    'maxFindings',
    'signal',
    'onProgress',
  ])
  const { signal } = parseCallOptions('options', given)
  const { onProgress } = given
  if (onProgress !== undefined && !isListener(onProgress))
    throw new InvalidInputError('options.onProgress', onProgress, 'a function')
  const hostId = given.hostId === undefined ? undefined : parseUuid('options.hostId', given.hostId)
  const maxFindings =
    given.maxFindings === undefined
      ? DEFAULT_MAX_FINDINGS
      : parseInteger('options.maxFindings', given.maxFindings, 1, MOST_FINDINGS)
  const key = given.key === undefined ? [] : [await readVerifier('options.key', given.key)]
  const keys = [...key, ...(await readTrustedKeys('options.trustedKeys', given.trustedKeys))]
  const checkpoint =
    given.checkpoint === undefined ? undefined : await readGivenCheckpoint(given.checkpoint, keys)
  return {
    hostId,
    keys,
    checkpoint: checkpoint && 'heads' in checkpoint ? checkpoint : undefined,
    unusable: checkpoint && 'kind' in checkpoint ? checkpoint : undefined,
    maxFindings,
    signal,
    onProgress: onProgress ?? (() => undefined),
  }
}

function isListener(value: unknown): value is (progress: AuditVerificationProgress) => void {
  return typeof value === 'function'
}

/** A checkpoint that is not trusted tells nothing, neither good nor bad: the chains are verified without it. */
async function readGivenCheckpoint(
  path: unknown,
  keys: readonly NoteVerifier[],
): Promise<SignedCheckpoint | UnusableCheckpoint> {
  if (keys.length === 0) {
    parseCheckpointPath('options.checkpoint', path)
    return { kind: 'no-key', expected: 'the public key of whoever signed the checkpoint', found: 'none' }
  }
  try {
    return await readCheckpoint('options.checkpoint', path, keys)
  } catch (error) {
    if (!(error instanceof TripwireStorageError)) throw error
    switch (error.code) {
      case 'AUDIT_CHECKPOINT_UNVERIFIED':
        return {
          kind: 'wrong-key',
          expected: `a checkpoint signed by ${keys.map(key => `${key.name}+${key.keyHash}`).join(' or ')}`,
          found: error.message,
        }
      case 'AUDIT_CHECKPOINT_INVALID':
      case 'AUDIT_FILE_FAILED':
        return {
          kind: 'checkpoint-unusable',
          expected: 'the checkpoint that was signed',
          found: error.message,
        }
      default:
        throw error
    }
  }
}
