import type { AuditEntry } from '../model/audit-entry.ts'
import { runnerOfCaller } from '../pg/caller-client.ts'
import { continueInTransaction } from './append/append-in-transaction.ts'
import { parseAppend } from './append/append-request.ts'
import type { GroupCommit } from './append/group-commit.ts'

/**
 * Appends entries to the chain of a host, all or none, and returns them.
 * @throws InvalidInputError, OverloadedError, DatabaseError UNKNOWN_HOST, TripwireStorageError ALREADY_EXISTS when an id was given
 *   that is in use for something else.
 */
export async function appendAuditEntries(
  groupCommit: GroupCommit,
  hostId: unknown,
  payloads: unknown,
  options: unknown,
): Promise<readonly AuditEntry[]> {
  const { append, client, bytes } = parseAppend(hostId, payloads, options)
  if (append.payloads.length === 0) return []
  if (client === undefined) return groupCommit.append(append, bytes)
  return continueInTransaction(runnerOfCaller('options.client', client), append)
}
