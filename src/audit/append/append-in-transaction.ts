import { DatabaseError } from '../../errors.ts'
import type { AuditEntry } from '../../model/audit-entry.ts'
import type { JsonValue, RawJson } from '../../model/raw-json.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { parseAppend } from './append-request.ts'
import { type Append, appendToChains } from './append-to-chains.ts'
import { isFork } from './audit-transaction.ts'

/** Appends to the chain of a host in a transaction that somebody else begins and commits. */
export async function appendInTransaction(
  transaction: QueryRunner,
  hostId: string,
  payloads: readonly (RawJson | JsonValue)[],
): Promise<readonly AuditEntry[]> {
  return continueInTransaction(transaction, parseAppend(hostId, payloads, {}).append)
}

/** Appends the same payload to the chains of several hosts. Their locks are taken at once, so that two such appends cannot deadlock. */
export async function appendToSeveral(
  transaction: QueryRunner,
  hostIds: readonly string[],
  payload: RawJson | JsonValue,
): Promise<void> {
  const appends = hostIds.map(hostId => parseAppend(hostId, [payload], {}).append)
  for (const outcome of await appendToChains(transaction, appends))
    if ('error' in outcome) throw outcome.error
}

/**
 * The same for an append that was checked already.
 * @throws DatabaseError AUDIT_NOT_CONTINUED when the transaction cannot see the entries that it would have to continue.
 */
export async function continueInTransaction(
  transaction: QueryRunner,
  append: Append,
): Promise<readonly AuditEntry[]> {
  try {
    const [outcome] = await appendToChains(transaction, [append])
    if (outcome && 'error' in outcome) throw outcome.error
    return outcome?.entries ?? []
  } catch (error) {
    throw isFork(error) ? olderSnapshot(error) : error
  }
}

function olderSnapshot(error: DatabaseError): DatabaseError {
  return new DatabaseError('AUDIT_NOT_CONTINUED', 'another entry continued the chain meanwhile', {
    cause: error,
    hint: 'repeat the transaction; begin it as READ COMMITTED, so that it sees the entries that it waited for',
    sqlState: error.sqlState,
    table: error.table,
    constraint: error.constraint,
  })
}
