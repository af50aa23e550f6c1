/** What an entry links to, and what the next one has to link to: docs/audit-chain.md, "The link hash". */
import { TripwireStorageError } from '../../errors.ts'
import { GENESIS_LINK, linkHash, unprotectedLinkHash } from '../link-hash.ts'
import type { AuditRow } from './audit-row.ts'

/** What stands before an entry: the two hashes that it links to. */
export interface ChainPoint {
  readonly eventHash: string
  readonly linkHash: string
}

export const GENESIS: ChainPoint = { eventHash: GENESIS_LINK, linkHash: GENESIS_LINK }

const UNPROTECTED = '0'
const PROTECTED = '1'

export function isProtected(row: AuditRow): boolean {
  return row.version === PROTECTED
}

export function isUnprotected(row: AuditRow): boolean {
  return row.version === UNPROTECTED
}

/** Whether the event hash is one that the caller brought. */
export function isGiven(row: AuditRow): boolean {
  return row.hasRowHash
}

/** The link hash that stands in the row. */
export function storedLink(row: AuditRow): string {
  return isUnprotected(row) ? unprotectedLinkHash(row.eventHash) : protectedLink(row)
}

/** The same, if the row was protected once. */
function protectedLink(row: AuditRow): string {
  return isGiven(row) ? row.rowHash : row.eventHash
}

export function storedPoint(row: AuditRow): ChainPoint {
  return { eventHash: row.eventHash, linkHash: storedLink(row) }
}

/** What the row would have been, had it another number, previous hash or kind. */
export interface Otherwise {
  readonly sequenceNum?: bigint
  readonly prevHash?: string
  readonly givenEventHash?: string
}

/** The link hash that the row gives after an entry with this link hash; `undefined` when its payload is not JSON. */
export function recomputedLink(
  row: AuditRow,
  prevLink: string,
  otherwise: Otherwise = {},
): string | undefined {
  const givenEventHash = isGiven(row) ? row.eventHash : ''
  try {
    return linkHash({
      hostId: row.hostId,
      sequenceNum: String(otherwise.sequenceNum ?? row.sequenceNum ?? ''),
      entryId: row.entryId,
      createdAt: row.createdAt,
      prevHash: otherwise.prevHash ?? row.prevHash,
      prevLink,
      givenEventHash: otherwise.givenEventHash ?? givenEventHash,
      payload: row.payload,
    })
  } catch (error) {
    if (error instanceof TripwireStorageError && error.code === 'MALFORMED_ROW') return undefined
    throw error
  }
}

/** Whether the row is the entry that comes after this point, under its own number or another. */
export function follows(row: AuditRow, point: ChainPoint, sequenceNum?: bigint): boolean {
  if (row.prevHash !== point.eventHash || row.isTorn) return false
  if (isUnprotected(row)) return !isGiven(row)
  if (!isProtected(row)) return false
  const otherwise = sequenceNum === undefined ? {} : { sequenceNum }
  return recomputedLink(row, point.linkHash, otherwise) === protectedLink(row)
}

/**
 * Whether the row is as it was written, whatever stands before it. That can be told when the entry before had no hash of a
 * caller: its link hash follows from its event hash then.
 */
export function standsAlone(row: AuditRow): boolean {
  const { prevHash } = row
  if (!isProtected(row) || row.isTorn) return false
  return (
    recomputedLink(row, prevHash) === protectedLink(row) ||
    recomputedLink(row, unprotectedLinkHash(prevHash)) === protectedLink(row)
  )
}

/** What is known to have been changed in a row. */
export interface Alteration {
  readonly expected: string
  readonly found: string
}

interface Alternative extends Alteration {
  readonly point: ChainPoint
}

/**
 * What the row may have been: points that differ from what stands in it by one column. When the next entry follows one of
 * them, that column was changed.
 * @param prevLink the link hash before the row.
 * @param next the entry after it.
 */
export function* alternativesOf(row: AuditRow, prevLink: string, next: AuditRow): Iterable<Alternative> {
  const { eventHash, rowHash } = row
  if (!isProtected(row)) {
    yield {
      point: { eventHash, linkHash: protectedLink(row) },
      expected: `hash_version ${PROTECTED}`,
      found: `hash_version ${row.version || 'NULL'}`,
    }
    return
  }
  const recomputed = recomputedLink(row, prevLink)
  if (isGiven(row)) {
    if (recomputed !== undefined) {
      const point = { eventHash, linkHash: recomputed }
      yield { point, expected: `row_hash ${recomputed}`, found: `row_hash ${rowHash}` }
    }
    const point = { eventHash: next.prevHash, linkHash: rowHash }
    yield { point, expected: `event_hash ${next.prevHash}`, found: `event_hash ${eventHash}` }
    return
  }
  if (recomputed !== undefined) {
    const point = { eventHash: recomputed, linkHash: recomputed }
    yield { point, expected: `event_hash ${recomputed}`, found: `event_hash ${eventHash || 'NULL'}` }
  }
  const withRowHash = recomputedLink(row, prevLink, { givenEventHash: eventHash })
  if (withRowHash !== undefined) {
    const point = { eventHash, linkHash: withRowHash }
    yield { point, expected: `row_hash ${withRowHash}`, found: 'row_hash NULL' }
  }
}

/** Whether a row of version 0 was a protected one: then it gives one of its hashes. */
export function wasProtected(row: AuditRow, before: ChainPoint): boolean {
  const link = protectedLink(row)
  if (recomputedLink(row, before.linkHash) === link) return true
  return before.eventHash !== before.linkHash && recomputedLink(row, before.eventHash) === link
}
