import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import { systemCode, writeNewFile } from '../../files/new-file.ts'
import type { AuditEvidence } from '../../model/audit-evidence.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { integerFromRow } from '../../pg/row-values.ts'
import { type CallContext, callSignal } from '../call-signal.ts'
import { leavesOf } from '../checkpoint/checkpoint-text.ts'
import { payloadDigest } from '../link-hash.ts'
import { inclusionProof } from '../merkle.ts'
import { beginSnapshot } from '../verify/audit-snapshot.ts'
import { type ChainPlace, encodeLine } from './bundle-lines.ts'
import { readChainRows } from './chain-rows.ts'
import { ChainWalk } from './chain-walk.ts'
import { type EvidenceRequest, readEvidenceRequest } from './evidence-request.ts'
import { findPlaceBefore, findRange, type SequenceRange } from './find-range.ts'

const OWNER_ONLY = 0o600

/**
 * Writes a bundle that proves entries of a host without the database: the entries, what leads from them to the head that a
 * checkpoint signed, and the proof that the head is in it. All of it is verified on the way: what does not verify is no evidence.
 * @throws InvalidInputError, also when no entry lies in the span.
 * @throws TripwireStorageError AUDIT_DAMAGED when the entries do not lead to the head; AUDIT_NOT_PROVABLE when entries were
 *   not protected; AUDIT_CHECKPOINT_…, AUDIT_KEY_UNUSABLE, AUDIT_FILE_FAILED. The reason of the signal.
 */
export async function exportEvidence(
  db: Database,
  options: unknown,
  context: CallContext = {},
): Promise<AuditEvidence> {
  const given = await readEvidenceRequest(options)
  const signal = callSignal(given.signal, context)
  const written: AuditEvidence[] = []
  signal.throwIfAborted()
  try {
    return await db.transaction(async transaction => {
      const evidence = await exportInTransaction(transaction, { ...given, signal })
      written.push(evidence)
      return evidence
    }, signal)
  } catch (error) {
    // The bundle is there, whatever becomes of a transaction that has only read.
    const [evidence] = written
    if (evidence) return evidence
    signal.throwIfAborted()
    throw error
  }
}

async function exportInTransaction(
  transaction: QueryRunner,
  request: EvidenceRequest,
): Promise<AuditEvidence> {
  await beginSnapshot(transaction)
  const { hostId, head } = request
  const range = await findRange(transaction, hostId, String(head.sequenceNum), request)
  if (range === undefined) {
    throw new InvalidInputError('options.from', request.from, `a span with entries up to ${head.sequenceNum}`)
  }
  const place = await findPlaceBefore(transaction, hostId, range.first)
  if (place === undefined) throw damaged(hostId, range.first, 'the entry before it', 'none')
  await writeBundle(request, bundleLines(transaction, request, range, place))
  const [first, last] = [BigInt(range.first), BigInt(range.last)]
  return {
    path: request.out,
    hostId,
    firstSequence: integerFromRow('sequence_num', range.first),
    lastSequence: integerFromRow('sequence_num', range.last),
    entries: Number(last - first + 1n),
    context: Number(head.sequenceNum - last),
  }
}

async function* bundleLines(
  transaction: QueryRunner,
  request: EvidenceRequest,
  range: SequenceRange,
  previous: ChainPlace,
): AsyncGenerator<string> {
  const { hostId, head, signal } = request
  const exportedAt = new Date().toISOString().replace('Z', '000Z')
  const hostname = await findHostname(transaction, hostId)
  yield encodeLine({ kind: 'header', hostId, hostname, exportedAt, previous })
  const walk = new ChainWalk(hostId, previous)
  const last = BigInt(range.last)
  const rows = readChainRows(transaction, hostId, range.first, String(head.sequenceNum), signal)
  for await (const { hashVersion, payload, ...entry } of rows) {
    if (hashVersion !== '1') throw notProvable(hostId, entry.sequenceNum)
    const payloadSha256 = payloadDigest(payload)
    const problem = walk.step(entry, payloadSha256)
    if (problem) throw damaged(hostId, entry.sequenceNum, problem.expected, problem.found)
    yield BigInt(entry.sequenceNum) <= last
      ? encodeLine({ kind: 'entry', ...entry, payload })
      : encodeLine({ kind: 'context', ...entry, payloadSha256 })
  }
  const { sequenceNum, linkHash } = walk.place
  if (sequenceNum !== String(head.sequenceNum) || linkHash !== head.linkHash) {
    throw damaged(hostId, String(head.sequenceNum), head.linkHash, `${linkHash} at entry ${sequenceNum}`)
  }
  yield encodeLine(checkpointLine(request))
}

function checkpointLine({ signed, leafIndex }: EvidenceRequest) {
  const proof = inclusionProof(leavesOf(signed.heads), leafIndex)
  return {
    kind: 'checkpoint',
    note: signed.note,
    leafIndex,
    proof: proof.map(each => each.toString('base64')),
  } as const
}

const FIND_HOSTNAME = `
  SELECT hostname
  FROM hosts
  WHERE host_id = $1`

async function findHostname(transaction: QueryRunner, hostId: string): Promise<string | null> {
  const { rows } = await transaction.query<{ hostname: string }>(FIND_HOSTNAME, [hostId])
  return rows[0]?.hostname ?? null
}

async function writeBundle({ out, signal }: EvidenceRequest, lines: AsyncIterable<string>): Promise<void> {
  try {
    await writeNewFile(out, lines, OWNER_ONLY)
  } catch (cause) {
    signal?.throwIfAborted()
    if (systemCode(cause) === undefined) throw cause
    if (systemCode(cause) === 'EEXIST') {
      throw new InvalidInputError(
        'options.out',
        out,
        'a path where no file is; evidence is never written over',
        {
          cause,
        },
      )
    }
    throw new TripwireStorageError('AUDIT_FILE_FAILED', `${out}: the evidence cannot be written`, { cause })
  }
}

function damaged(hostId: string, sequenceNum: string, expected: string, found: string): TripwireStorageError {
  return new TripwireStorageError(
    'AUDIT_DAMAGED',
    `host ${hostId}, entry ${sequenceNum}: expected ${expected}, found ${found}`,
    { hint: 'tripwire-storage audit verify' },
  )
}

function notProvable(hostId: string, sequenceNum: string): TripwireStorageError {
  return new TripwireStorageError(
    'AUDIT_NOT_PROVABLE',
    `host ${hostId}, entry ${sequenceNum}: nothing protected it when it was written, so nothing can be proven of it`,
    { hint: 'export later entries only: --from' },
  )
}
