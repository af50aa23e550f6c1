import { TripwireStorageError } from '../../errors.ts'
import type { AuditEntry } from '../../model/audit-entry.ts'
import { RawJson } from '../../model/raw-json.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { integerFromRow } from '../../pg/row-values.ts'
import { LINK_HASH_VERSION, linkHash } from '../link-hash.ts'
import { type ChainHead, headOf, lockChains } from './lock-chains.ts'
import { compareWritten, recogniseEntries, type StoredEntry } from './recognise-entries.ts'
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
  const payloadsOf = partsOf(
    chains.payloads,
    appends.map(append => append.payloads.length),
  )
  const storedOf = await findStored(transaction, appends, payloadsOf)
  const heads = new Map(chains.heads)
  const written = new Map<string, AuditEntry>()
  const outcomes = appends.map((append, index): AppendOutcome => {
    const payloads = payloadsOf[index] ?? []
    try {
      const stored = recogniseStored(append, payloads, storedOf[index] ?? [], written)
      if (stored) return { entries: stored }
      const head = heads.get(append.hostId) ?? headOf(chains, append.hostId)
      const { entries, newHead } = continueChain(head, append.entryIds, payloads)
      heads.set(append.hostId, newHead)
      for (const entry of entries) written.set(entry.entryId, entry)
      return { entries }
    } catch (error) {
      return { error }
    }
  })
  await writeEntries(transaction, [...written.values()], chains.transactionId)
  return outcomes
}

/** Cuts a list into parts of these lengths. */
function partsOf<T>(elements: readonly T[], lengths: readonly number[]): readonly (readonly T[])[] {
  let taken = 0
  return lengths.map(length => {
    const part = elements.slice(taken, taken + length)
    taken += length
    return part
  })
}

/** What was stored before this transaction, for each append that may be stored. */
async function findStored(
  transaction: QueryRunner,
  appends: readonly Append[],
  payloadsOf: readonly (readonly string[])[],
): Promise<readonly (readonly (StoredEntry | undefined)[])[]> {
  const sought = appends.map(({ hostId, entryIds, mayBeStored }, index) =>
    mayBeStored
      ? entryIds.map((entryId, place) => ({
          hostId,
          at: { entryId },
          payload: payloadsOf[index]?.[place] ?? '',
        }))
      : [],
  )
  const found = await recogniseEntries(transaction, sought.flat())
  return partsOf(
    found,
    sought.map(each => each.length),
  )
}

/**
 * The entries of an append that is stored already, or written by this very transaction: a call that is made twice at once.
 * @returns `undefined` when it is not.
 * @throws TripwireStorageError ALREADY_EXISTS when its ids are in use for something else.
 */
function recogniseStored(
  append: Append,
  payloads: readonly string[],
  storedBefore: readonly (StoredEntry | undefined)[],
  written: ReadonlyMap<string, AuditEntry>,
): readonly AuditEntry[] | undefined {
  const stored = append.entryIds.map((entryId, index) => {
    const entry = written.get(entryId)
    return entry ? compareWritten(entry, append.hostId, payloads[index] ?? '') : storedBefore[index]
  })
  if (stored.every(each => each === undefined)) return undefined
  const [first] = stored
  const firstNumber = first && 'entry' in first ? first.entry.sequenceNum : 0
  return stored.map((each, index) => {
    if (each && 'entry' in each && each.entry.sequenceNum === firstNumber + index) return each.entry
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
