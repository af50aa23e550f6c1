import type { AuditEntry } from '../model/audit-entry.ts'
import { RawJson } from '../model/raw-json.ts'
import { integerFromRow, selectTimestamp, timestampFromRow } from '../pg/row-values.ts'

export interface AuditEntryRow {
  readonly entry_id: string
  readonly host_id: string
  readonly sequence_num: string
  readonly event_hash: string
  readonly prev_hash: string
  readonly payload: string
  readonly created_at: string
}

export const AUDIT_ENTRY_COLUMNS = `
    entry_id,
    host_id,
    sequence_num,
    event_hash,
    prev_hash,
    payload,
    ${selectTimestamp('created_at')}`

export function auditEntryFromRow(row: AuditEntryRow): AuditEntry {
  return {
    entryId: row.entry_id,
    hostId: row.host_id,
    sequenceNum: integerFromRow('sequence_num', row.sequence_num),
    eventHash: row.event_hash,
    prevHash: row.prev_hash,
    payload: RawJson.fromDatabase(row.payload),
    createdAt: timestampFromRow(row.created_at),
  }
}
