import type { AuditEntry } from '../model/audit-entry.ts'
import { RawJson } from '../model/raw-json.ts'
import { integerFromRow, timestampFromRow } from '../pg/row-values.ts'

/** Every column as text, so that it does not matter how a caller's own client parses types. */
export interface AuditEntryRow {
  readonly entry_id: string
  readonly host_id: string
  readonly sequence_num: string
  readonly event_hash: string
  readonly prev_hash: string
  readonly payload: string
  readonly created_at: string
  readonly row_hash: string | null
  readonly hash_version: string
}

export const AUDIT_ENTRY_COLUMNS = `
    entry_id::text AS entry_id,
    host_id::text AS host_id,
    sequence_num::text AS sequence_num,
    event_hash::text AS event_hash,
    prev_hash::text AS prev_hash,
    payload::text AS payload,
    ${selectTimestampText('created_at', 'created_at')},
    row_hash::text AS row_hash,
    hash_version::text AS hash_version`

/** As `selectTimestamp`, but text for any client. `timestampFromRow` takes it from there. */
export function selectTimestampText(expression: string, name: string): string {
  return `to_json((${expression}) AT TIME ZONE 'UTC')::text AS ${name}`
}

export function auditEntryFromRow(row: AuditEntryRow): AuditEntry {
  return {
    entryId: row.entry_id,
    hostId: row.host_id,
    sequenceNum: integerFromRow('sequence_num', row.sequence_num),
    eventHash: row.event_hash,
    prevHash: row.prev_hash,
    payload: RawJson.fromDatabase(row.payload),
    createdAt: timestampFromRow(row.created_at),
    rowHash: row.row_hash,
    hashVersion: Number(row.hash_version),
  }
}
