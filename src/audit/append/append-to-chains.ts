import { TripwireStorageError } from '../../errors.ts'
import type { AuditEntry } from '../../model/audit-entry.ts'
import { RawJson } from '../../model/raw-json.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { integerFromRow } from '../../pg/row-values.ts'
import { AUDIT_ENTRY_COLUMNS, type AuditEntryRow, auditEntryFromRow } from '../audit-entry-row.ts'
import { canonicalJson } from '../canonical-json.ts'
import { LINK_HASH_VERSION, linkHash } from '../link-hash.ts'
import { type ChainHead, headOf, lockChains } from './lock-chains.ts'
import { writeEntries } from './write-entries.ts'

/** Payloads that one caller appends to the chain of a host, all or none. */
export interface Append {
  readonly hostId: string
  /** One for each payload. */
  readonly entryIds: readonly string[]
  /** JSON text. */
  readonly payloads: readonly string[]
  /** Whether the entries may be there already: a call that is repeated, or a try whose outcome is unknown. */
  readonly mayBeStored: boolean
}

export type AppendOutcome = { readonly entries: readonly AuditEntry[] } | { readonly error: unknown }

const FIND_ENTRIES = `
  SELECT ${AUDIT_ENTRY_COLUMNS}
  FROM audit_entries
  WHERE audit_entries.entry_id = ANY ($1::uuid[])`

/**
 * Appends in a transaction, and answers for each append in the order given. What is stored already is not appended again.
 * @throws what the database refuses, and then nothing was appended.
 */
export async function appendToChains(
  transaction: QueryRunner,
  appends: readonly Append[],
): Promise<readonly AppendOutcome[]> {
  const chains = await lockChains(
    transaction,
    appends.map(append => append.hostId),
    appends.flatMap(append => append.payloads),
  )
  const known = await findEntries(
    transaction,
    appends.flatMap(append => (append.mayBeStored ? append.entryIds : [])),
  )
  const heads = new Map(chains.heads)
  const written: AuditEntry[] = []
  let taken = 0
  const outcomes = appends.map((append): AppendOutcome => {
    const payloads = chains.payloads.slice(taken, taken + append.payloads.length)
    taken += payloads.length
    try {
      const stored = recogniseStored(append, payloads, known)
      if (stored) return { entries: stored }
      const head = heads.get(append.hostId) ?? headOf(chains, append.hostId)
      const { entries, newHead } = continueChain(head, append.entryIds, payloads)
      heads.set(append.hostId, newHead)
      written.push(...entries)
      for (const entry of entries) known.set(entry.entryId, entry)
      return { entries }
    } catch (error) {
      return { error }
    }
  })
  await writeEntries(transaction, written, chains.transactionId)
  return outcomes
}

/** Appends of this very transaction are added later, so that a call that is made twice at once is recognised too. */
async function findEntries(
  transaction: QueryRunner,
  entryIds: readonly string[],
): Promise<Map<string, AuditEntry>> {
  if (entryIds.length === 0) return new Map()
  const { rows } = await transaction.query<AuditEntryRow>(FIND_ENTRIES, [entryIds])
  return new Map(rows.map(row => [row.entry_id, auditEntryFromRow(row)]))
}

/**
 * The entries of an append that is stored already; `undefined` when it is not.
 * @throws TripwireStorageError ALREADY_EXISTS when its ids are in use for something else.
 */
function recogniseStored(
  append: Append,
  payloads: readonly string[],
  known: ReadonlyMap<string, AuditEntry>,
): readonly AuditEntry[] | undefined {
  const stored = append.entryIds.map(entryId => known.get(entryId))
  if (stored.every(entry => entry === undefined)) return undefined
  const first = stored[0]?.sequenceNum ?? 0
  return stored.map((entry, index) => {
    const isSame =
      entry !== undefined &&
      entry.hostId === append.hostId &&
      entry.sequenceNum === first + index &&
      canonicalJson(entry.payload.text) === canonicalJson(payloads[index] ?? '')
    if (isSame) return entry
    throw new TripwireStorageError(
      'ALREADY_EXISTS',
      `entryIds[${index}]: other entries of this call are stored, or this id (${append.entryIds[index]}) with other content`,
      { hint: 'repeat a call with the same ids, payloads and host, or give new ids' },
    )
  })
}

function continueChain(
  head: ChainHead,
  entryIds: readonly string[],
  payloads: readonly string[],
): { readonly entries: readonly AuditEntry[]; readonly newHead: ChainHead } {
  const { hostId, nextCreatedAt: createdAt } = head
  const entries: AuditEntry[] = []
  let { sequenceNum, eventHash: prevHash, linkHash: prevLink } = head
  for (const [index, payload] of payloads.entries()) {
    sequenceNum += 1n
    const number = integerFromRow('sequence_num', String(sequenceNum))
    const entryId = entryIds[index] ?? ''
    const place = { hostId, sequenceNum: number, entryId, createdAt, prevHash }
    const eventHash = linkHash({ ...place, prevLink, givenEventHash: '', payload })
    entries.push({
      ...place,
      eventHash,
      payload: RawJson.fromDatabase(payload),
      rowHash: null,
      hashVersion: LINK_HASH_VERSION,
    })
    prevHash = eventHash
    prevLink = eventHash
  }
  return { entries, newHead: { ...head, sequenceNum, eventHash: prevHash, linkHash: prevLink } }
}
