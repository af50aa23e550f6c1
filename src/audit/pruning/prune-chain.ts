import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { DatabaseError, InvalidInputError, TripwireStorageError } from '../../errors.ts'
import type { AuditEntry } from '../../model/audit-entry.ts'
import type { AuditPruning } from '../../model/audit-evidence.ts'
import { parseCallOptions } from '../../model/call-options.ts'
import { parseObject, parseText, parseUuid } from '../../model/input.ts'
import { RawJson } from '../../model/raw-json.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { integerFromRow } from '../../pg/row-values.ts'
import { LIFT_TIME_LIMITS } from '../../pg/time-limits.ts'
import { appendInTransaction } from '../append/append-in-transaction.ts'
import { type CallContext, callSignal } from '../call-signal.ts'
import { type ChainPlace, encodeLine } from '../evidence/bundle-lines.ts'
import { ChainWalk, chainDamaged } from '../evidence/chain-walk.ts'
import { findPlaceBefore } from '../evidence/find-range.ts'
import { verifyBundle } from '../evidence/verify-evidence.ts'
import { walkEntries } from '../evidence/walk-entries.ts'
import type { NoteSigner } from '../note/audit-key.ts'
import { readSigner } from '../note/key-files.ts'
import { signNote } from '../note/signed-note.ts'
import { parseActor } from '../record-action.ts'
import { manifestText, type PruningManifest } from './pruning-manifest.ts'

const LONGEST_PATH = 4096
export const PRUNE_ACTION = 'audit.prune'

/** A bundle that verifies, and what of it the rows of the database are compared with. */
interface VerifiedBundle {
  readonly first: string
  readonly through: string
  /** SHA-256 over the lines of its entries, in order: no hash of a chain covers all of an entry of version 0. */
  readonly entriesSha256: string
  readonly fileSha256: string
}

/**
 * Deletes the oldest entries of a chain, up to the last one of a bundle that holds them. The bundle must verify, and must hold what
 * the database holds, entry by entry. In one transaction: an entry at the end of the chain that says so, a signed manifest
 * that stands for the prefix from now on, and the deletion.
 * @throws InvalidInputError
 * @throws TripwireStorageError AUDIT_DAMAGED when bundle or chain do not verify, or are not the same: nothing is deleted then.
 */
export async function pruneChain(
  db: Database,
  options: unknown,
  context: CallContext = {},
): Promise<AuditPruning> {
  const given = parseObject('options', options, ['hostId', 'bundle', 'key', 'actor', 'signal'])
  const hostId = parseUuid('options.hostId', given.hostId)
  const bundlePath = parseText('options.bundle', given.bundle, LONGEST_PATH)
  const actor = parseActor('options.actor', given.actor)
  const signal = callSignal(parseCallOptions('options', { signal: given.signal }).signal, context)
  const signer = await readSigner('options.key', given.key)
  signal.throwIfAborted()
  const bundle = await readVerifiedBundle(bundlePath, hostId, signer, signal)
  const work = { hostId, actor, bundle, signer, signal }
  try {
    return await db.transaction(transaction => pruneInTransaction(transaction, work), signal, BEGIN)
  } catch (error) {
    // Whether a pruning whose connection broke was done, the reason of the signal would not tell.
    const isUnknown = error instanceof DatabaseError && error.code === 'CONNECTION_FAILED'
    if (!isUnknown) signal.throwIfAborted()
    throw error
  }
}

async function readVerifiedBundle(
  path: string,
  hostId: string,
  signer: NoteSigner,
  signal: AbortSignal,
): Promise<VerifiedBundle> {
  const fileBefore = await digestFile(path, signal)
  const entries = createHash('sha256')
  const verified = await verifyBundle('options.bundle', path, signer.verifier, {
    signal,
    onEntry: line => void entries.update(encodeLine(line)),
  })
  // Of what nothing protected no evidence can say more.
  const finding = verified.findings.find(({ kind }) => kind !== 'unprotected')
  if (finding) {
    throw new TripwireStorageError(
      'AUDIT_DAMAGED',
      `${path}: ${finding.kind}: expected ${finding.expected}, found ${finding.found}`,
      { hint: 'tripwire-storage audit verify-bundle' },
    )
  }
  if (verified.hostId !== hostId) {
    throw new InvalidInputError(
      'options.bundle',
      path,
      `a bundle of host ${hostId}, not of ${verified.hostId}`,
    )
  }
  if ((await digestFile(path, signal)) !== fileBefore) {
    throw new InvalidInputError('options.bundle', path, 'a file that nobody writes')
  }
  return {
    first: verified.firstSequence ?? '',
    through: verified.lastSequence ?? '',
    entriesSha256: entries.digest('hex'),
    fileSha256: fileBefore,
  }
}

async function digestFile(path: string, signal: AbortSignal): Promise<string> {
  const digest = createHash('sha256')
  try {
    for await (const chunk of createReadStream(path, { signal })) digest.update(chunk)
  } catch (cause) {
    signal.throwIfAborted()
    throw new InvalidInputError('options.bundle', path, 'the path of a bundle that can be read', { cause })
  }
  return digest.digest('hex')
}

/** A row that a policy would hide must be an error: it would be left behind, and the chain be damaged. */
const BEGIN = `
  BEGIN ISOLATION LEVEL READ COMMITTED;
  SET LOCAL row_security = off`

interface PruningWork {
  readonly hostId: string
  readonly actor: string
  readonly bundle: VerifiedBundle
  readonly signer: NoteSigner
  readonly signal: AbortSignal
}

async function pruneInTransaction(
  transaction: QueryRunner,
  { hostId, actor, bundle, signer, signal }: PruningWork,
): Promise<AuditPruning> {
  const { first, through } = bundle
  await transaction.runScript(LIFT_TIME_LIMITS)
  const payload = RawJson.from({
    action: PRUNE_ACTION,
    actor,
    first,
    through,
    bundleSha256: bundle.fileSha256,
  })
  // First: it locks the chain.
  const [recorded] = await appendInTransaction(transaction, hostId, [payload])
  if (!recorded) throw new TripwireStorageError('MALFORMED_ROW', 'an append returned no entry')
  const place = await walkPrefix(transaction, hostId, bundle, signal)
  const manifest = signManifest({ hostId, bundle, place, recorded }, signer)
  await transaction.query(INSERT_PRUNING, [hostId, through, place.eventHash, place.linkHash, manifest])
  const deleted = await transaction.query(DELETE_PREFIX, [hostId, through])
  const expected = BigInt(through) - BigInt(first) + 1n
  if (BigInt(deleted.rowCount) !== expected) {
    throw chainDamaged(hostId, through, { expected: `${expected} entries`, found: String(deleted.rowCount) })
  }
  signal.throwIfAborted()
  return {
    hostId,
    firstSequence: integerFromRow('sequence_num', first),
    throughSequence: integerFromRow('sequence_num', through),
    entries: deleted.rowCount,
    recordedAs: recorded.sequenceNum,
    manifest,
  }
}

const FIRST_SEQUENCE = `
  SELECT min(sequence_num) AS first
  FROM audit_entries
  WHERE host_id = $1`

/** Follows the rows that are about to go. They must be the bundle's, and the first that are left. */
async function walkPrefix(
  transaction: QueryRunner,
  hostId: string,
  { first, through, entriesSha256 }: VerifiedBundle,
  signal: AbortSignal,
): Promise<ChainPlace> {
  const oldest = (await transaction.query<{ first: string | null }>(FIRST_SEQUENCE, [hostId])).rows[0]?.first
  if (oldest !== first) {
    throw new InvalidInputError('options.bundle', first, `a bundle that begins with entry ${oldest}`)
  }
  const before = await findPlaceBefore(transaction, hostId, first)
  if (!before) {
    throw chainDamaged(hostId, first, { expected: 'the entry before it or its pruning', found: 'none' })
  }
  const walk = new ChainWalk(hostId, before)
  const entries = createHash('sha256')
  for await (const { line } of walkEntries(transaction, walk, through, signal))
    entries.update(encodeLine(line))
  if (walk.place.sequenceNum !== through || entries.digest('hex') !== entriesSha256) {
    throw chainDamaged(hostId, through, { expected: 'the entries of the bundle up to it', found: 'others' })
  }
  return walk.place
}

interface Pruned {
  readonly hostId: string
  readonly bundle: VerifiedBundle
  /** The last entry that goes. */
  readonly place: ChainPlace
  /** The entry that says so: one that this library appended, so its event hash is its link hash. */
  readonly recorded: AuditEntry
}

function signManifest({ hostId, bundle, place, recorded }: Pruned, signer: NoteSigner): string {
  const manifest: PruningManifest = {
    hostId,
    first: bundle.first,
    through: bundle.through,
    eventHash: place.eventHash,
    linkHash: place.linkHash,
    bundleSha256: bundle.fileSha256,
    recordedAs: String(recorded.sequenceNum),
    recordLinkHash: recorded.eventHash,
    time: parseTimestamp('time', new Date()),
  }
  return signNote(manifestText(manifest), [signer])
}

const INSERT_PRUNING = `
  INSERT INTO audit_prunings (
    host_id, through_sequence, through_event_hash, through_link_hash, through_created_at, manifest
  )
  SELECT
    host_id,
    sequence_num,
    $3,
    $4,
    created_at,
    $5
  FROM audit_entries
  WHERE host_id = $1
    AND sequence_num = $2`

const DELETE_PREFIX = `
  DELETE FROM audit_entries
  WHERE host_id = $1
    AND sequence_num <= $2`
