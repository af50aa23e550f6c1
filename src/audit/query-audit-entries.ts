import { InvalidInputError } from '../errors.ts'
import type { AuditEntry } from '../model/audit-entry.ts'
import { parseObject, parseOptional, parseUuid } from '../model/input.ts'
import { parseTimestamp } from '../model/timestamp.ts'
import type { QueryRunner } from '../pg/database.ts'
import { AUDIT_ENTRY_COLUMNS, type AuditEntryRow, auditEntryFromRow } from './audit-entry-row.ts'

const QUERY_AUDIT_ENTRIES = `
  SELECT ${AUDIT_ENTRY_COLUMNS}
  FROM audit_entries
  WHERE audit_entries.host_id = $1
    AND audit_entries.created_at >= coalesce($2::timestamptz, '-infinity')
    AND audit_entries.created_at < coalesce($3::timestamptz, 'infinity')
  ORDER BY audit_entries.sequence_num`

/** The entries of a host within a span of time, in the order of the chain. */
export async function queryAuditEntries(db: QueryRunner, query: unknown): Promise<readonly AuditEntry[]> {
  const given = parseObject('query', query, ['hostId', 'from', 'to'])
  const hostId = parseUuid('query.hostId', given.hostId)
  const from = parseOptional(given.from, value => parseTimestamp('query.from', value))
  const to = parseOptional(given.to, value => parseTimestamp('query.to', value))
  if (from !== null && to !== null && to < from) {
    throw new InvalidInputError('query.to', given.to, `a moment not before query.from (${from})`)
  }
  const { rows } = await db.query<AuditEntryRow>(QUERY_AUDIT_ENTRIES, [hostId, from, to])
  return rows.map(auditEntryFromRow)
}
