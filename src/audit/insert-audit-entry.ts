import { randomUUID } from 'node:crypto'
import { AuditNotContinuedError, InvalidInputError } from '../errors.ts'
import type { AuditEntry } from '../model/audit-entry.ts'
import { parseInteger, parseJson, parseObject, parseOptional, parseUuid } from '../model/input.ts'
import { RawJson } from '../model/raw-json.ts'
import { parseTimestamp } from '../model/timestamp.ts'
import type { QueryRunner, TransactionRunner } from '../pg/database.ts'
import { integerFromRow } from '../pg/row-values.ts'
import { auditTransaction, LOCK_ATTEMPTS, LOCK_TIMEOUT_MS } from './append/audit-transaction.ts'
import { type ChainHead, headOf, lockChains } from './append/lock-chains.ts'
import { recogniseEntries } from './append/recognise-entries.ts'
import { writeEntries } from './append/write-entries.ts'
import { LINK_HASH_VERSION, linkHash } from './link-hash.ts'

const SHA_256 = /^[0-9a-f]{64}$/

interface GivenEntry {
  readonly entryId: string | undefined
  readonly hostId: string
  readonly sequenceNum: number
  readonly eventHash: string
  readonly prevHash: string
  readonly payload: RawJson
  readonly createdAt: string | null
}

/**
 * Stores an entry whose caller keeps the chain, and returns it. The same entry again is left alone, and returned.
 * @throws InvalidInputError, AuditNotContinuedError, DatabaseError UNKNOWN_HOST, or ALREADY_EXISTS when its id is in use.
 */
export async function insertAuditEntry(
  db: TransactionRunner,
  entry: unknown,
  options: { readonly retryForMs: number; readonly signal: AbortSignal },
): Promise<AuditEntry> {
  const given = parseEntry(entry)
  return auditTransaction(db, transaction => continueWith(transaction, given), {
    ...options,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    lockAttempts: LOCK_ATTEMPTS,
  })
}

function parseEntry(entry: unknown): GivenEntry {
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
  return {
    entryId: given.entryId === undefined ? undefined : parseUuid('entry.entryId', given.entryId),
    hostId: parseUuid('entry.hostId', given.hostId),
    sequenceNum: parseInteger('entry.sequenceNum', given.sequenceNum, 1, Number.MAX_SAFE_INTEGER),
    eventHash: parseHash('entry.eventHash', given.eventHash),
    prevHash: parseHash('entry.prevHash', given.prevHash),
    payload: parseJson('entry.payload', given.payload),
    createdAt: parseOptional(given.createdAt, value => parseTimestamp('entry.createdAt', value)),
  }
}

function parseHash(field: string, value: unknown): string {
  if (typeof value !== 'string' || !SHA_256.test(value)) {
    throw new InvalidInputError(field, value, 'a SHA-256 in 64 lower-case hexadecimal digits')
  }
  return value
}

async function continueWith(transaction: QueryRunner, given: GivenEntry): Promise<AuditEntry> {
  const { hostId, sequenceNum, eventHash, prevHash } = given
  const chains = await lockChains(transaction, [hostId], [given.payload.text])
  const head = headOf(chains, hostId)
  const payload = chains.payloads[0] ?? ''
  if (BigInt(sequenceNum) <= head.sequenceNum) return findAgain(transaction, given, payload, head)
  if (BigInt(sequenceNum) !== head.sequenceNum + 1n) throw notContinued(given, head, 'leaves a gap')
  if (prevHash !== head.eventHash) throw notContinued(given, head, 'has another previous hash')
  const fields = {
    ...{ hostId, sequenceNum, prevHash },
    entryId: given.entryId ?? randomUUID(),
    createdAt: given.createdAt ?? head.nextCreatedAt,
  }
  const written = {
    ...fields,
    eventHash,
    payload: RawJson.fromDatabase(payload),
    rowHash: linkHash({ ...fields, prevLink: head.linkHash, givenEventHash: eventHash, payload }),
    hashVersion: LINK_HASH_VERSION,
  }
  await writeEntries(transaction, [written], chains.transactionId)
  return written
}

/** An agent that did not hear the answer sends its entry again. */
async function findAgain(
  transaction: QueryRunner,
  given: GivenEntry,
  payload: string,
  head: ChainHead,
): Promise<AuditEntry> {
  const { hostId, sequenceNum } = given
  const [stored] = await recogniseEntries(transaction, [{ hostId, at: { sequenceNum }, payload }])
  if (!stored) throw notContinued(given, head, 'has the number of an entry that was pruned')
  if ('entry' in stored && isSame(stored.entry, given)) return stored.entry
  const storedId = 'entry' in stored ? stored.entry.entryId : stored.otherEntryId
  throw notContinued(given, head, `has the number of another entry, ${storedId}`)
}

function isSame(stored: AuditEntry, given: GivenEntry): boolean {
  return (
    stored.eventHash === given.eventHash &&
    stored.prevHash === given.prevHash &&
    (given.entryId ?? stored.entryId) === stored.entryId &&
    (given.createdAt ?? stored.createdAt) === stored.createdAt
  )
}

function notContinued(given: GivenEntry, head: ChainHead, how: string): AuditNotContinuedError {
  const { hostId, sequenceNum, prevHash } = given
  const expected = {
    sequenceNum: integerFromRow('sequence_num', String(head.sequenceNum + 1n)),
    prevHash: head.eventHash,
  }
  return new AuditNotContinuedError(
    hostId,
    expected,
    { sequenceNum, prevHash },
    `entry ${sequenceNum} ${how}: the chain of ${hostId} goes on with ${expected.sequenceNum}, after ${expected.prevHash}`,
  )
}
