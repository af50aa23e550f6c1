import type { AuditEntry, TransactionClient } from '../model/audit-entry.ts'
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
  const runner = runnerOfCaller('options.client', client)
  return afterEarlier(client, () => continueInTransaction(runner, append))
}

/** The last append on each client of a caller, settled or not. */
const lastAppends = new WeakMap<TransactionClient, Promise<void>>()

/** The statements of two appends would mix on one connection, and the lock does not keep a transaction from itself. */
function afterEarlier<T>(client: TransactionClient, append: () => Promise<T>): Promise<T> {
  const appended = (lastAppends.get(client) ?? Promise.resolve()).then(append)
  const settled = () => {}
  // Keeps no entries in memory as long as the client lives, and does not stop the next append when this one fails.
  lastAppends.set(client, appended.then(settled, settled))
  return appended
}
