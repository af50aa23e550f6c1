import { InvalidInputError } from '../../errors.ts'
import type { AuditEntry } from '../../model/audit-entry.ts'
import { arrayOf } from '../../pg/array-literal.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { LINK_HASH_VERSION } from '../link-hash.ts'
import { listOf } from './lock-chains.ts'

/**
 * The transaction must be the one that locked the chains. A client that commits each statement by itself holds no lock any more,
 * and writes nothing.
 */
const INSERT_ENTRIES = `
  WITH inserted AS (
    INSERT INTO audit_entries (
      entry_id, host_id, sequence_num, event_hash, prev_hash, payload, created_at, row_hash, hash_version
    )
    SELECT
      given.entry_id,
      given.host_id,
      given.sequence_num,
      given.event_hash,
      given.prev_hash,
      given.payload,
      given.created_at,
      given.row_hash,
      ${LINK_HASH_VERSION}
    FROM ROWS FROM (
      unnest($1::uuid[]),
      unnest($2::uuid[]),
      unnest($3::bigint[]),
      unnest($4::text[]),
      unnest($5::text[]),
      jsonb_array_elements($6::jsonb),
      unnest($7::timestamptz[]),
      unnest($8::text[])
    ) AS given (entry_id, host_id, sequence_num, event_hash, prev_hash, payload, created_at, row_hash)
    WHERE pg_current_xact_id()::text = $9
    RETURNING 1
  )
  SELECT count(*)::text AS inserted
  FROM inserted`

/**
 * Writes entries that continue the chains that this transaction has locked.
 * @throws InvalidInputError options.client, when it is another transaction by now.
 */
export async function writeEntries(
  transaction: QueryRunner,
  entries: readonly AuditEntry[],
  transactionId: string,
): Promise<void> {
  if (entries.length === 0) return
  const { rows } = await transaction.query<{ inserted: string }>(INSERT_ENTRIES, [
    arrayOf(entries.map(entry => entry.entryId)),
    arrayOf(entries.map(entry => entry.hostId)),
    arrayOf(entries.map(entry => entry.sequenceNum)),
    arrayOf(entries.map(entry => entry.eventHash)),
    arrayOf(entries.map(entry => entry.prevHash)),
    listOf(entries.map(entry => entry.payload.text)),
    arrayOf(entries.map(entry => entry.createdAt)),
    arrayOf(entries.map(entry => entry.rowHash)),
    transactionId,
  ])
  if (rows[0]?.inserted !== String(entries.length)) {
    throw new InvalidInputError('options.client', undefined, 'a client inside a transaction', {
      hint: 'send BEGIN on this very connection before, and COMMIT after it; a pool is no transaction',
    })
  }
}
