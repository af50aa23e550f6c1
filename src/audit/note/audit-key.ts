/** Keys in the text form of signed notes. Nothing here puts a private key into a message. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { InvalidInputError } from '../../errors.ts'
import { parseBase64 } from './base64.ts'
import { isKeyName, KEY_NAME_EXPECTED } from './key-name.ts'

/** A key pair, each in the text form of C2SP signed-note. */
export interface AuditKey {
  readonly name: string
  /** `PRIVATE+KEY+<name>+<hash>+<base64>`. Whoever has it can sign. */
  readonly privateKey: string
  /** `<name>+<hash>+<base64>`. To be given to whoever verifies. */
  readonly publicKey: string
}

/** A public key: it checks signatures. */
export interface NoteVerifier {
  readonly name: string
  /** Eight hexadecimal digits: the first four bytes of SHA-256 over the name, a line feed, and the public key. */
  readonly keyHash: string
  readonly publicKey: KeyObject
  verifies(text: string, signature: Uint8Array): boolean
}

/** A private key: it signs. */
export interface NoteSigner {
  /** The public key that belongs to it. */
  readonly verifier: NoteVerifier
  /** 64 bytes. */
  sign(text: string): Buffer
}

export const PRIVATE_KEY_PREFIX = 'PRIVATE+KEY+'
const ED25519 = 1
const KEY_BYTES = 32
/** What stands before the 32 bytes of an Ed25519 key in DER: RFC 8410. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/**
 * Makes a new key pair for signing checkpoints.
 * @param name who signs, best a URL without its scheme, such as `example.com/audit`. It stands in every note.
 * @throws InvalidInputError
 */
export function generateAuditKey(name: string): AuditKey {
  if (typeof name !== 'string' || !isKeyName(name))
    throw new InvalidInputError('name', name, KEY_NAME_EXPECTED)
  const pair = generateKeyPairSync('ed25519')
  const seed = pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_PREFIX.length)
  const verifier = new Ed25519Verifier(name, pair.publicKey)
  return {
    name,
    privateKey: `${PRIVATE_KEY_PREFIX}${name}+${verifier.keyHash}+${encodeKey(seed)}`,
    publicKey: verifierText(verifier),
  }
}

/** The text form of a public key. */
export function verifierText({ name, keyHash, publicKey }: NoteVerifier): string {
  return `${name}+${keyHash}+${encodeKey(rawPublicKey(publicKey))}`
}

/** The public key with this text form; `undefined` for any other text. */
export function parseVerifier(text: string): NoteVerifier | undefined {
  const parts = splitKey(text)
  if (parts === undefined) return undefined
  const publicKey = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, parts.bytes]),
    format: 'der',
    type: 'spki',
  })
  const verifier = new Ed25519Verifier(parts.name, publicKey)
  return verifier.keyHash === parts.keyHash ? verifier : undefined
}

/** The private key with this text form; `undefined` for any other text. */
export function parseSigner(text: string): NoteSigner | undefined {
  if (!text.startsWith(PRIVATE_KEY_PREFIX)) return undefined
  const parts = splitKey(text.slice(PRIVATE_KEY_PREFIX.length))
  if (parts === undefined) return undefined
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, parts.bytes]),
    format: 'der',
    type: 'pkcs8',
  })
  const verifier = new Ed25519Verifier(parts.name, createPublicKey(privateKey))
  if (verifier.keyHash !== parts.keyHash) return undefined
  return { verifier, sign: note => sign(null, Buffer.from(note), privateKey) }
}

class Ed25519Verifier implements NoteVerifier {
  readonly name: string
  readonly keyHash: string
  readonly publicKey: KeyObject

  constructor(name: string, publicKey: KeyObject) {
    this.name = name
    this.publicKey = publicKey
    const preimage = Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), rawPublicKey(publicKey)])
    this.keyHash = hash('sha256', preimage, 'hex').slice(0, 8)
  }

  verifies(text: string, signature: Uint8Array): boolean {
    return verify(null, Buffer.from(text), this.publicKey, signature)
  }
}

const KEY = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/

function splitKey(text: string): { name: string; keyHash: string; bytes: Buffer } | undefined {
  const [, name = '', keyHash = '', encoded = ''] = KEY.exec(text) ?? []
  const bytes = parseBase64(encoded)
  if (!isKeyName(name) || bytes?.length !== 1 + KEY_BYTES || bytes[0] !== ED25519) return undefined
  return { name, keyHash, bytes: bytes.subarray(1) }
}

function encodeKey(bytes: Buffer): string {
  return Buffer.concat([Buffer.of(ED25519), bytes]).toString('base64')
}

function rawPublicKey(publicKey: KeyObject): Buffer {
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length)
}
