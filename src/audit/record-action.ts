import { TripwireStorageError } from '../errors.ts'
import { parseText } from '../model/input.ts'
import type { JsonValue } from '../model/raw-json.ts'
import type { QueryRunner, TransactionRunner } from '../pg/database.ts'
import { appendToSeveral } from './append/append-in-transaction.ts'
import { auditTransaction, LOCK_ATTEMPTS, LOCK_TIMEOUT_MS } from './append/audit-transaction.ts'

/** The host whose chain tells what was done to no host in particular: to a global rule, to a month. */
export const STORAGE_HOSTNAME = 'tripwire-storage'

const LONGEST_ACTOR = 255

/** What somebody did to the configuration, as it goes into the audit log. */
export interface RecordedAction {
  readonly action: string
  readonly actor: string
  readonly [detail: string]: JsonValue
}

export function parseActor(field: string, value: unknown): string {
  return parseText(field, value, LONGEST_ACTOR)
}

/** Runs a change and what records it in one transaction, and again when somebody else was quicker. */
export function recordedTransaction<T>(
  db: TransactionRunner,
  work: (transaction: QueryRunner) => Promise<T>,
): Promise<T> {
  return auditTransaction(db, work, {
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    lockAttempts: LOCK_ATTEMPTS,
    // Whether a change was made whose connection broke is for the caller to find out.
    retryForMs: 0,
  })
}

/** Appends an action to the chains of these hosts, in the transaction that carries it out. `null`: the storage's own chain. */
export async function recordAction(
  transaction: QueryRunner,
  hostIds: Iterable<string | null>,
  action: RecordedAction,
): Promise<void> {
  const chains: string[] = []
  for (const hostId of new Set(hostIds)) chains.push(hostId ?? (await storageHostId(transaction)))
  await appendToSeveral(transaction, chains, action)
}

const FIND_STORAGE_HOST = `
  SELECT host_id
  FROM hosts
  WHERE hostname = $1`

const REGISTER_STORAGE_HOST = `
  INSERT INTO hosts (hostname, platform)
  VALUES ($1, $1)
  ON CONFLICT (hostname) DO NOTHING`

async function storageHostId(transaction: QueryRunner): Promise<string> {
  const find = async () =>
    (await transaction.query<{ host_id: string }>(FIND_STORAGE_HOST, [STORAGE_HOSTNAME])).rows[0]?.host_id
  const known = await find()
  if (known !== undefined) return known
  await transaction.query(REGISTER_STORAGE_HOST, [STORAGE_HOSTNAME])
  const registered = await find()
  if (registered === undefined) {
    throw new TripwireStorageError(
      'MALFORMED_ROW',
      `the host ${STORAGE_HOSTNAME} was registered and is not there`,
    )
  }
  return registered
}
