/** The lines of an evidence bundle: docs/audit-chain.md, "The evidence bundle". */
import { parseInteger, parseObject, parseOptional, parseText, parseUuid } from '../../model/input.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import type { ChainPoint } from '../verify/entry-links.ts'

export const BUNDLE_FORMAT = 'tripwire-storage/audit-evidence'
export const BUNDLE_VERSION = 1

/** Where a chain stands: after the entry before the first one of the bundle. */
export interface ChainPlace extends ChainPoint {
  readonly sequenceNum: string
}

export interface HeaderLine {
  readonly kind: 'header'
  readonly hostId: string
  readonly hostname: string | null
  readonly exportedAt: string
  readonly previous: ChainPlace
}

export interface EntryFields {
  readonly sequenceNum: string
  readonly entryId: string
  readonly createdAt: string
  readonly prevHash: string
  readonly eventHash: string
  readonly rowHash: string | null
  /** 0: nothing protects it. */
  readonly hashVersion: 0 | 1
}

/** An entry that is part of the evidence. */
export interface EntryLine extends EntryFields {
  readonly kind: 'entry'
  /** As PostgreSQL prints it. */
  readonly payload: string
}

/** A later entry, which only leads to the head that was signed: without its payload. */
export interface ContextLine extends EntryFields {
  readonly kind: 'context'
  readonly payloadSha256: string
}

export interface CheckpointLine {
  readonly kind: 'checkpoint'
  /** The signed note. */
  readonly note: string
  /** The place of the chain's head among the leaves. */
  readonly leafIndex: number
  /** From the leaf's neighbour up to the root's child, Base64. */
  readonly proof: readonly string[]
}

export type BundleLine = HeaderLine | EntryLine | ContextLine | CheckpointLine

export function encodeLine(line: BundleLine): string {
  const { kind, ...members } = line
  const head = kind === 'header' ? { format: BUNDLE_FORMAT, formatVersion: BUNDLE_VERSION } : {}
  return `${JSON.stringify({ kind, ...head, ...members })}\n`
}

/** A line of at most so many characters holds one entry. PostgreSQL keeps a jsonb under 256 MiB. */
const LONGEST_PAYLOAD = 2 ** 28
const LONGEST_NOTE = 1_048_576
const MOST_PROOF_HASHES = 64
const SEQUENCE = /^(?:0|[1-9]\d{0,18})$/
const HASH = /^[0-9a-f]{64}$/

/**
 * Reads a line, strictly: a member too many or too few is refused.
 * @throws InvalidInputError, SyntaxError when it is not JSON.
 */
export function decodeLine(text: string): BundleLine {
  const value: unknown = JSON.parse(text)
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
  switch (kind) {
    case 'header':
      return decodeHeader(value)
    case 'entry':
      return {
        kind,
        ...decodeFields(value, 'payload'),
        payload: textMember(value, 'payload', LONGEST_PAYLOAD),
      }
    case 'context':
      return {
        kind,
        ...decodeFields(value, 'payloadSha256'),
        payloadSha256: hashMember(value, 'payloadSha256'),
      }
    case 'checkpoint':
      return decodeCheckpoint(value)
    default:
      throw new SyntaxError('a line of a kind that is not known')
  }
}

function decodeHeader(value: unknown): HeaderLine {
  const given = parseObject('header', value, [
    'kind',
    'format',
    'formatVersion',
    'hostId',
    'hostname',
    'exportedAt',
    'previous',
  ])
  if (given.format !== BUNDLE_FORMAT || given.formatVersion !== BUNDLE_VERSION) {
    throw new SyntaxError(`not ${BUNDLE_FORMAT} of version ${BUNDLE_VERSION}`)
  }
  parseObject('previous', given.previous, ['sequenceNum', 'eventHash', 'linkHash'])
  return {
    kind: 'header',
    hostId: parseUuid('hostId', given.hostId),
    hostname: parseOptional(given.hostname, name => parseText('hostname', name, 1000)),
    exportedAt: parseTimestamp('exportedAt', given.exportedAt),
    previous: {
      sequenceNum: sequenceMember(given.previous),
      eventHash: hashMember(given.previous, 'eventHash'),
      linkHash: hashMember(given.previous, 'linkHash'),
    },
  }
}

function decodeFields(value: unknown, last: 'payload' | 'payloadSha256'): EntryFields {
  const given = parseObject('entry', value, [
    'kind',
    'sequenceNum',
    'entryId',
    'createdAt',
    'prevHash',
    'eventHash',
    'rowHash',
    'hashVersion',
    last,
  ])
  return {
    sequenceNum: sequenceMember(value),
    entryId: parseUuid('entryId', given.entryId),
    // Not parsed: what is hashed is this text, and the years before 1 have another form.
    createdAt: parseText('createdAt', given.createdAt, 64),
    prevHash: hashMember(value, 'prevHash'),
    eventHash: hashMember(value, 'eventHash'),
    rowHash: parseOptional(given.rowHash, () => hashMember(value, 'rowHash')),
    hashVersion: versionMember(given.hashVersion),
  }
}

function decodeCheckpoint(value: unknown): CheckpointLine {
  const given = parseObject('checkpoint', value, ['kind', 'note', 'leafIndex', 'proof'])
  if (!Array.isArray(given.proof) || given.proof.length > MOST_PROOF_HASHES) {
    throw new SyntaxError('a proof that is none')
  }
  return {
    kind: 'checkpoint',
    note: parseText('note', given.note, LONGEST_NOTE),
    leafIndex: parseInteger('leafIndex', given.leafIndex, 0, Number.MAX_SAFE_INTEGER),
    proof: given.proof.map(each => parseText('proof', each, 64)),
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined
}

function textMember(value: unknown, name: string, longest: number): string {
  return parseText(name, member(value, name), longest)
}

function hashMember(value: unknown, name: string): string {
  return matching(value, name, HASH)
}

function versionMember(version: unknown): 0 | 1 {
  if (version === 0 || version === 1) return version
  throw new SyntaxError('hashVersion is neither 0 nor 1')
}

function sequenceMember(value: unknown): string {
  return matching(value, 'sequenceNum', SEQUENCE)
}

function matching(value: unknown, name: string, pattern: RegExp): string {
  const text = member(value, name)
  if (typeof text !== 'string' || !pattern.test(text)) throw new SyntaxError(`${name} is malformed`)
  return text
}
