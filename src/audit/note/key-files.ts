import { open, rm } from 'node:fs/promises'
import { platform } from 'node:os'
import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import { systemCode, writeNewFile } from '../../files/new-file.ts'
import { readAtMost } from '../../files/read-at-most.ts'
import {
  type AuditKey,
  type NoteSigner,
  type NoteVerifier,
  PRIVATE_KEY_PREFIX,
  parseSigner,
  parseVerifier,
} from './audit-key.ts'

const LONGEST_KEY_FILE_BYTES = 4096
const OWNER_ONLY = 0o600
const EVERYBODY_READS = 0o644
const OTHERS = 0o077

/** Beside the private key. */
export function publicKeyPath(path: string): string {
  return `${path}.pub`
}

/**
 * Writes the private key to a file that only its owner can read, and the public key beside it, with `.pub` after its name.
 * @throws InvalidInputError when one of them is there already, TripwireStorageError AUDIT_FILE_FAILED.
 */
export async function writeKeyFiles(path: string, key: AuditKey): Promise<void> {
  await writeKeyFile(path, key.privateKey, OWNER_ONLY)
  try {
    await writeKeyFile(publicKeyPath(path), key.publicKey, EVERYBODY_READS)
  } catch (error) {
    // Nobody has used it yet, and beside another public key it would mislead.
    await rm(path, { force: true }).catch(() => undefined)
    throw error
  }
}

async function writeKeyFile(path: string, text: string, mode: number): Promise<void> {
  try {
    await writeNewFile(path, `${text}\n`, mode)
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST')
      throw new InvalidInputError('out', path, 'a path where no file is; a key is never written over', {
        cause,
      })
    throw new TripwireStorageError('AUDIT_FILE_FAILED', `${path}: the key cannot be written`, { cause })
  }
}

/**
 * A private key: given as its text, or as the path of a file that holds it. On Windows it is not checked who can read the file.
 * @throws InvalidInputError when the file cannot be read; TripwireStorageError AUDIT_KEY_UNUSABLE.
 */
export async function readSigner(field: string, key: unknown): Promise<NoteSigner> {
  if (isPrivateKeyText(key)) return requireSigner(field, withoutLineEnd(key))
  const { path, text, mode } = await readKeyFile(field, key, 'a private key')
  if (platform() !== 'win32' && (mode & OTHERS) !== 0) {
    throw new TripwireStorageError('AUDIT_KEY_UNUSABLE', `${path}: others than its owner may use this file`, {
      hint: `chmod 600 ${path}; and where others may have read it: tripwire-storage audit keygen`,
    })
  }
  return requireSigner(path, text)
}

/**
 * A public key: given as its text, or as the path of a file that holds it.
 * @throws InvalidInputError when the file cannot be read; TripwireStorageError AUDIT_KEY_UNUSABLE.
 */
export async function readVerifier(field: string, key: unknown): Promise<NoteVerifier> {
  if (isPrivateKeyText(key)) return requireVerifier(field, withoutLineEnd(key))
  const given = typeof key === 'string' ? parseVerifier(withoutLineEnd(key)) : undefined
  if (given !== undefined) return given
  const { path, text } = await readKeyFile(field, key, 'a public key')
  return requireVerifier(path, text)
}

/**
 * Further public keys that are trusted, such as those of before a change of keys.
 * @throws InvalidInputError, TripwireStorageError AUDIT_KEY_UNUSABLE.
 */
export async function readTrustedKeys(field: string, keys: unknown): Promise<readonly NoteVerifier[]> {
  if (keys === undefined) return []
  if (!Array.isArray(keys)) throw new InvalidInputError(field, keys, 'a list of public keys')
  return Promise.all(keys.map((key: unknown, index) => readVerifier(`${field}[${index}]`, key)))
}

function requireVerifier(where: string, text: string): NoteVerifier {
  const verifier = parseVerifier(text)
  if (verifier !== undefined) return verifier
  throw new TripwireStorageError('AUDIT_KEY_UNUSABLE', `${where}: this is no public key`, {
    hint: isPrivateKeyText(text) ? 'it is a private key; the public one is in the file with .pub' : undefined,
  })
}

/** Such a text is not looked for as a path, and so in no message, however damaged it is. */
function isPrivateKeyText(key: unknown): key is string {
  return typeof key === 'string' && key.includes(PRIVATE_KEY_PREFIX)
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '')
}

/** The text is never part of the message. */
function requireSigner(where: string, text: string): NoteSigner {
  const signer = parseSigner(text)
  if (signer !== undefined) return signer
  throw new TripwireStorageError('AUDIT_KEY_UNUSABLE', `${where}: this is no private key`, {
    hint: parseVerifier(text)
      ? 'it is the public key; the private one is in the file without .pub'
      : 'make one with: tripwire-storage audit keygen',
  })
}

interface KeyFile {
  readonly path: string
  /** Without the line's end. */
  readonly text: string
  readonly mode: number
}

async function readKeyFile(field: string, path: unknown, what: string): Promise<KeyFile> {
  if (typeof path !== 'string' || path === '') throw new InvalidInputError(field, path, `the path of ${what}`)
  try {
    await using handle = await open(path, 'r')
    const { mode } = await handle.stat()
    const bytes = await readAtMost(handle, LONGEST_KEY_FILE_BYTES)
    if (bytes !== undefined) return { path, text: withoutLineEnd(bytes.toString()), mode }
  } catch (cause) {
    if (systemCode(cause) === undefined) throw cause
    throw new InvalidInputError(field, path, `the path of ${what} that can be read`, { cause })
  }
  throw new TripwireStorageError('AUDIT_KEY_UNUSABLE', `${path}: this is too long to be ${what}`)
}
