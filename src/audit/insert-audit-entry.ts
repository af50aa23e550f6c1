import { randomUUID } from 'node:crypto'
import { InvalidInputError, TripwireStorageError } from '../errors.ts'
import type { AuditEntry } from '../model/audit-entry.ts'
import { parseInteger, parseJson, parseObject, parseOptional, parseUuid } from '../model/input.ts'
import { parseTimestamp } from '../model/timestamp.ts'
import type { QueryRunner } from '../pg/database.ts'
import { AUDIT_ENTRY_COLUMNS, type AuditEntryRow, auditEntryFromRow } from './audit-entry-row.ts'

const SHA_256 = /^[0-9a-f]{64}$/

const INSERT_AUDIT_ENTRY = `
  INSERT INTO audit_entries (
    entry_id, host_id, sequence_num, event_hash, prev_hash, payload, created_at
  )
  VALUES ($1, $2, $3, $4, $5, $6, coalesce($7::timestamptz, now()))
  RETURNING ${AUDIT_ENTRY_COLUMNS}`

/**
 * Stores an entry whose caller keeps the chain, and returns it.
 * @throws InvalidInputError, DatabaseError UNKNOWN_HOST, or ALREADY_EXISTS when the host has an entry with this number.
 */
export async function insertAuditEntry(db: QueryRunner, entry: unknown): Promise<AuditEntry> {
  const given = parseObject('entry', entry, [
    'entryId',
    'hostId',
    'sequenceNum',
    'eventHash',
    'prevHash',
    'payload',
    'createdAt',
  ])
  if (given.payload === undefined)
    throw new InvalidInputError('entry.payload', undefined, 'a RawJson or a plain JSON value')
  const { rows } = await db.query<AuditEntryRow>(INSERT_AUDIT_ENTRY, [
    given.entryId === undefined ? randomUUID() : parseUuid('entry.entryId', given.entryId),
    parseUuid('entry.hostId', given.hostId),
    parseInteger('entry.sequenceNum', given.sequenceNum, 1, Number.MAX_SAFE_INTEGER),
    parseHash('entry.eventHash', given.eventHash),
    parseHash('entry.prevHash', given.prevHash),
    parseJson('entry.payload', given.payload).text,
    parseOptional(given.createdAt, value => parseTimestamp('entry.createdAt', value)),
  ])
  const row = rows[0]
  if (!row) throw new TripwireStorageError('MALFORMED_ROW', 'the insert of an audit entry returned no row')
  return auditEntryFromRow(row)
}

function parseHash(field: string, value: unknown): string {
  if (typeof value !== 'string' || !SHA_256.test(value)) {
    throw new InvalidInputError(field, value, 'a SHA-256 in 64 lower-case hexadecimal digits')
  }
  return value
}
