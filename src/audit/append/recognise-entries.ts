import { hash } from 'node:crypto'
import type { AuditEntry } from '../../model/audit-entry.ts'
import { arrayOf } from '../../pg/array-literal.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { type AuditEntryRow, auditEntryFromRow, selectTimestampText } from '../audit-entry-row.ts'

/** The function has its owner's rights: a writer may insert entries without reading them. */
const RECOGNISE_ENTRIES = `
  SELECT
    stored.place::text AS place,
    stored.entry_id::text AS entry_id,
    stored.is_recognised::text AS is_recognised,
    stored.sequence_num::text AS sequence_num,
    stored.event_hash AS event_hash,
    stored.prev_hash AS prev_hash,
    ${selectTimestampText('stored.created_at', 'created_at')},
    stored.row_hash AS row_hash,
    stored.hash_version::text AS hash_version
  FROM recognise_audit_entries($1::uuid[], $2::uuid[], $3::bigint[], $4::text[]) AS stored`

interface OtherRow {
  readonly place: string
  readonly entry_id: string
  readonly is_recognised: 'false'
}

interface RecognisedRow extends Omit<AuditEntryRow, 'host_id' | 'payload'> {
  readonly place: string
  readonly is_recognised: 'true'
}

/** An entry that may be stored already, with the id that it has, or in its place in the chain. */
export interface SoughtEntry {
  readonly hostId: string
  readonly at: { readonly entryId: string } | { readonly sequenceNum: number }
  /** As PostgreSQL prints it. */
  readonly payload: string
}

/** What is stored with that id or in that place: the entry with this host and payload, or another one, of which only its id is known. */
export type StoredEntry = { readonly entry: AuditEntry } | { readonly otherEntryId: string }

/** Looks for entries, and answers in the order given; `undefined` for what is not stored. Needs no right to read the log. */
export async function recogniseEntries(
  transaction: QueryRunner,
  sought: readonly SoughtEntry[],
): Promise<readonly (StoredEntry | undefined)[]> {
  if (sought.length === 0) return []
  const { rows } = await transaction.query<RecognisedRow | OtherRow>(RECOGNISE_ENTRIES, [
    arrayOf(sought.map(({ hostId }) => hostId)),
    arrayOf(sought.map(({ at }) => ('entryId' in at ? at.entryId : null))),
    arrayOf(sought.map(({ at }) => ('sequenceNum' in at ? at.sequenceNum : null))),
    arrayOf(sought.map(({ payload }) => hash('sha256', payload, 'hex'))),
  ])
  const byPlace = new Map(rows.map(row => [Number(row.place) - 1, row]))
  return sought.map(({ hostId, payload }, index) => {
    const row = byPlace.get(index)
    if (row === undefined) return undefined
    if (row.is_recognised === 'false') return { otherEntryId: row.entry_id }
    return { entry: auditEntryFromRow({ ...row, host_id: hostId, payload }) }
  })
}

/** The same for an entry that this very transaction is about to write. */
export function compareWritten(written: AuditEntry, hostId: string, payload: string): StoredEntry {
  const isSame = written.hostId === hostId && written.payload.text === payload
  return isSame ? { entry: written } : { otherEntryId: written.entryId }
}
