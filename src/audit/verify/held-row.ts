import type { AuditRow } from './audit-row.ts'
import type { ChainFinding } from './chain-finding.ts'
import {
  type Alteration,
  type ChainPoint,
  isGiven,
  isProtected,
  isUnprotected,
  recomputedLink,
  storedLink,
  wasProtected,
} from './entry-links.ts'

/** What is known of the entry before a row that does not fit. */
export type Before =
  /** It fits into the chain itself. */
  | { readonly is: 'certain'; readonly point: ChainPoint }
  /** It does not fit itself. */
  | { readonly is: 'held'; readonly row: HeldRow }
  /** It is missing, or was not read. */
  | { readonly is: 'absent' }

/** A row that does not fit where it stands. It may belong somewhere else, or not be what was written. */
export interface HeldRow {
  readonly row: AuditRow
  before: Before
  /** Whether another row with this number fits, or was read before. */
  isDuplicate: boolean
  /** Whether the chain begins after the number of the row. */
  readonly isBeforeStart: boolean
  /** What was changed, where the next entry tells. */
  alteration: Alteration | undefined
  /** Whether the next entry links to what stands in the row. */
  isConfirmed: boolean
  /** Whether the row was found that belongs where this one stands. */
  isReplaced: boolean
}

export function heldRow(
  row: AuditRow,
  before: Before,
  { isBeforeStart = false, isDuplicate = false } = {},
): HeldRow {
  return {
    row,
    before,
    isBeforeStart,
    isDuplicate,
    isReplaced: false,
    isConfirmed: false,
    alteration: undefined,
  }
}

type Judgement = Omit<ChainFinding, 'sequenceNum'>

const judge = (kind: ChainFinding['kind'], expected: string, found: string): Judgement => ({
  kind,
  expected,
  found,
})

/** What a row is that fits nowhere. */
export function judgeHeldRow(held: HeldRow): Judgement {
  const { row, before } = held
  if (held.isDuplicate)
    return judge('duplicate', 'one entry with this number', `another, entry_id ${row.entryId}`)
  if (held.isBeforeStart) return judgeBeforeStart(row)
  if (row.sequenceNum === undefined) return judge('altered-row', 'a sequence_num', 'sequence_num NULL')
  if (row.isTorn) return judge('altered-row', 'columns without line feeds', 'a line feed')
  if (held.alteration) return { kind: 'altered-row', ...held.alteration }
  if (!isProtected(row)) return judgeUnprotected(row, before)
  switch (before.is) {
    case 'certain':
      return judgeAfter(held, before.point)
    case 'held':
      return judgeAfterHeld(row, before.row.row)
    case 'absent':
      return judge('unconfirmed', 'an entry that it links to', 'none')
  }
}

function judgeBeforeStart(row: AuditRow): Judgement {
  return row.sequenceNum !== undefined && row.sequenceNum > 0n
    ? judge('pruning-altered', 'no entry up to the pruning', 'an entry')
    : judge('altered-row', 'sequence_num from 1 on', `sequence_num ${row.sequenceNum ?? 'NULL'}`)
}

function judgeUnprotected(row: AuditRow, before: Before): Judgement {
  if (before.is === 'certain' && wasProtected(row, before.point)) {
    return judge('altered-row', 'hash_version 1', `hash_version ${row.version || 'NULL'}`)
  }
  if (!isUnprotected(row)) {
    return judge('unknown-version', 'hash_version 0 or 1', `hash_version ${row.version || 'NULL'}`)
  }
  if (isGiven(row)) return judge('altered-row', 'no row_hash in version 0', `row_hash ${row.rowHash}`)
  if (before.is === 'certain')
    return judge('broken-link', `prev_hash ${before.point.eventHash}`, `prev_hash ${row.prevHash}`)
  return judge('unconfirmed', 'an entry that it links to', 'none that fits')
}

function judgeAfter({ row, isConfirmed }: HeldRow, point: ChainPoint): Judgement {
  const stored = storedLink(row)
  const links = row.prevHash === point.eventHash
  if (!links && recomputedLink(row, point.linkHash, { prevHash: point.eventHash }) === stored) {
    return judge('altered-row', `prev_hash ${point.eventHash}`, `prev_hash ${row.prevHash || 'NULL'}`)
  }
  if (links || isConfirmed) return judgeAltered(row, point.linkHash)
  return judge('broken-link', `prev_hash ${point.eventHash}`, `prev_hash ${row.prevHash || 'NULL'}`)
}

function judgeAltered(row: AuditRow, prevLink: string): Judgement {
  const recomputed = recomputedLink(row, prevLink) ?? 'none: the payload is not JSON'
  return judge(
    'altered-row',
    `a row with the hash ${storedLink(row) || 'NULL'}`,
    `a row with the hash ${recomputed}`,
  )
}

/** The hash of the caller's own that stands before it may be what was changed: then nothing can be said of this one. */
function judgeAfterHeld(row: AuditRow, before: AuditRow): Judgement {
  return row.prevHash === before.eventHash && isProtected(before) && !isGiven(before)
    ? judgeAltered(row, before.eventHash)
    : judge('unconfirmed', 'an entry that it links to', 'none that fits')
}
