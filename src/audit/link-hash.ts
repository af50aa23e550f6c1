/** The hash over a whole audit entry: docs/audit-chain.md, "The link hash". */
import { hash } from 'node:crypto'
import { canonicalJson } from './canonical-json.ts'

/** The previous link of a host's first entry: 64 zeros. */
export const GENESIS_LINK = '0'.repeat(64)

/** The version that is part of the preimage, as it stands in `hash_version`. */
export const LINK_HASH_VERSION = 1

const FIRST_LINE = 'tripwire-storage/audit-entry/v1\n'

/** What the link hash covers: every column, each in its text form, and the link hash of the entry before. */
export interface LinkFields {
  readonly hostId: string
  readonly sequenceNum: string | number
  readonly entryId: string
  /** RFC 3339 in UTC with six digits. */
  readonly createdAt: string
  readonly prevHash: string
  /** The link hash of the entry before, or `GENESIS_LINK`. */
  readonly prevLink: string
  /** The event hash where the caller brought it; empty where it is the link hash itself. */
  readonly givenEventHash: string
  /** As PostgreSQL prints it. */
  readonly payload: string
}

/**
 * The link hash of an entry, 64 lower-case hexadecimal digits.
 * @throws TripwireStorageError MALFORMED_ROW when the payload is not JSON.
 */
export function linkHash(fields: LinkFields): string {
  return hash('sha256', linkPreimage(fields), 'hex')
}

/** The link hash of an entry of version 0, which covers its event hash alone. */
export function unprotectedLinkHash(eventHash: string): string {
  return hash('sha256', `tripwire-storage/audit-entry/v0\n${eventHash}`, 'hex')
}

/** The digest of a payload, as it stands in the preimage: 64 hexadecimal digits. */
export function payloadDigest(payload: string): string {
  return hash('sha256', canonicalJson(payload), 'hex')
}

/** The link hash of an entry of whose payload only the digest is known, as evidence shows later entries. */
export function linkHashOfDigest(fields: Omit<LinkFields, 'payload'>, payloadHash: string): string {
  return hash('sha256', preimageOf(fields, payloadHash), 'hex')
}

/** The bytes that are hashed; as a string where each of its characters is one byte. */
export function linkPreimage(fields: LinkFields): string | Buffer {
  return preimageOf(fields, payloadDigest(fields.payload))
}

function preimageOf(fields: Omit<LinkFields, 'payload'>, payloadHash: string): string | Buffer {
  const { hostId, entryId, createdAt, prevHash, prevLink, givenEventHash } = fields
  const sequenceNum = String(fields.sequenceNum)
  const text =
    FIRST_LINE +
    prefixed(hostId) +
    prefixed(sequenceNum) +
    prefixed(entryId) +
    prefixed(createdAt) +
    prefixed(prevHash) +
    prefixed(prevLink) +
    prefixed(givenEventHash) +
    prefixed(payloadHash)
  // ASCII throughout: a character is a byte, in the lengths as well.
  if (Buffer.byteLength(text) === text.length) return text
  const values = [
    hostId,
    sequenceNum,
    entryId,
    createdAt,
    prevHash,
    prevLink,
    givenEventHash,
    payloadHash,
  ] as const
  return Buffer.concat([Buffer.from(FIRST_LINE), ...values.map(prefixedBytes)])
}

/** A length of up to 127 bytes is four ASCII characters; any other is marked, so that the preimage is made of bytes. */
const ASCII_LENGTHS = Array.from({ length: 0x80 }, (_, length) => `\0\0\0${String.fromCharCode(length)}`)
const NOT_ASCII = '\u0080'

function prefixed(value: string): string {
  return (ASCII_LENGTHS[value.length] ?? NOT_ASCII) + value
}

function prefixedBytes(value: string): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
