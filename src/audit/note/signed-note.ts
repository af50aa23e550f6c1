/** Signed notes: https://c2sp.org/signed-note. */
import { InvalidInputError } from '../../errors.ts'
import type { NoteSigner, NoteVerifier } from './audit-key.ts'
import { parseBase64 } from './base64.ts'
import { isKeyName } from './key-name.ts'

/** What a note turned out to be. Its text is told only when a key that is trusted has signed it. */
export type OpenedNote =
  /** Every signature of a known key is right, and there is one. */
  | { readonly outcome: 'verified'; readonly text: string; readonly signedBy: readonly NoteVerifier[] }
  /** It is not a signed note. */
  | { readonly outcome: 'malformed'; readonly reason: string }
  /** It bears the name and hash of a known key, with a signature that this key did not make of this text. */
  | { readonly outcome: 'wrongSignature'; readonly key: NoteVerifier }
  /** No known key has signed it, so nothing can be told. */
  | { readonly outcome: 'noKnownKey'; readonly signedBy: readonly string[] }

/** C2SP asks for 16 at least, and some kinds of signatures take 5 kB. */
export const MOST_SIGNATURES = 100
export const LONGEST_NOTE_BYTES = 1_048_576

const SIGNATURE_PREFIX = '\u2014 '
const KEY_HASH_BYTES = 4
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTERS = /[\u0000-\u0009\u000b-\u001f]/

/**
 * Signs a text that ends with a line feed.
 * @throws InvalidInputError when the text cannot be that of a note.
 */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  if (!text.endsWith('\n') || !text.isWellFormed() || CONTROL_CHARACTERS.test(text)) {
    throw new InvalidInputError('text', text, 'lines of text, each with its line feed')
  }
  const lines = signers.map(signer => {
    const { name, keyHash } = signer.verifier
    const bytes = Buffer.concat([Buffer.from(keyHash, 'hex'), signer.sign(text)])
    return `${SIGNATURE_PREFIX}${name} ${bytes.toString('base64')}\n`
  })
  return `${text}\n${lines.join('')}`
}

interface SignatureLine {
  readonly name: string
  readonly keyHash: string
  readonly signature: Buffer
}

/** Checks the signatures of a note by the keys that are trusted. Any bytes are answered. */
export function openNote(note: Uint8Array, trusted: readonly NoteVerifier[]): OpenedNote {
  const parsed = parseNote(note)
  if (typeof parsed === 'string') return { outcome: 'malformed', reason: parsed }
  const { text, signatures } = parsed
  const signedBy = new Set<NoteVerifier>()
  for (const { name, keyHash, signature } of signatures) {
    // Two keys may share name and hash: whoever trusts both is told of a signature that one of them did not make.
    for (const key of trusted.filter(each => each.name === name && each.keyHash === keyHash)) {
      if (!key.verifies(text, signature)) return { outcome: 'wrongSignature', key }
      signedBy.add(key)
    }
  }
  if (signedBy.size > 0) return { outcome: 'verified', text, signedBy: [...signedBy] }
  return { outcome: 'noKnownKey', signedBy: signatures.map(({ name, keyHash }) => `${name}+${keyHash}`) }
}

/** A note in its parts, or what is wrong with it. */
function parseNote(note: Uint8Array): { text: string; signatures: readonly SignatureLine[] } | string {
  if (note.length > LONGEST_NOTE_BYTES) return `it is longer than ${LONGEST_NOTE_BYTES} bytes`
  const whole = decodeUtf8(note)
  if (whole === undefined) return 'it is not UTF-8'
  if (CONTROL_CHARACTERS.test(whole)) return 'it holds control characters'
  const blankLine = whole.lastIndexOf('\n\n')
  if (blankLine === -1) return 'it has no blank line before its signatures'
  if (!whole.endsWith('\n')) return 'its last line is cut'
  const lines = whole.slice(blankLine + 2, -1).split('\n')
  if (lines.length > MOST_SIGNATURES) return `it has more than ${MOST_SIGNATURES} signatures`
  const signatures: SignatureLine[] = []
  for (const line of lines) {
    const signature = parseSignature(line)
    if (signature === undefined) return 'a line after its blank line is no signature'
    signatures.push(signature)
  }
  return { text: whole.slice(0, blankLine + 1), signatures }
}

function parseSignature(line: string): SignatureLine | undefined {
  if (!line.startsWith(SIGNATURE_PREFIX)) return undefined
  const [name = '', encoded = '', ...rest] = line.slice(SIGNATURE_PREFIX.length).split(' ')
  const bytes = parseBase64(encoded)
  if (rest.length > 0 || !isKeyName(name) || bytes === undefined || bytes.length <= KEY_HASH_BYTES)
    return undefined
  return {
    name,
    keyHash: bytes.subarray(0, KEY_HASH_BYTES).toString('hex'),
    signature: bytes.subarray(KEY_HASH_BYTES),
  }
}

/** A byte order mark stays a character, so that the text has the bytes that were signed. */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
