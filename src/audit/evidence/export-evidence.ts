import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import { systemCode, writeNewFile } from '../../files/new-file.ts'
import type { AuditEvidence } from '../../model/audit-evidence.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { integerFromRow } from '../../pg/row-values.ts'
import { type CallContext, callSignal } from '../call-signal.ts'
import { leavesOf } from '../checkpoint/checkpoint-text.ts'
import { inclusionProof } from '../merkle.ts'
import { beginSnapshot } from '../verify/audit-snapshot.ts'
import { type ChainPlace, encodeLine } from './bundle-lines.ts'
import { ChainWalk, chainDamaged } from './chain-walk.ts'
import { type EvidenceRequest, readEvidenceRequest } from './evidence-request.ts'
import { findPlaceBefore, findRange, type SequenceRange } from './find-range.ts'
import { walkEntries } from './walk-entries.ts'

const OWNER_ONLY = 0o600

/**
 * Writes a bundle that proves entries of a host without the database: the entries, what leads from them to the head that a
 * checkpoint signed, and the proof that the head is in it. All of it is verified on the way: what does not verify is no evidence.
 * Entries of version 0 are carried, and nothing is proven of what they hold.
 * @throws InvalidInputError, also when no entry lies in the span.
 * @throws TripwireStorageError AUDIT_DAMAGED when the entries do not lead to the head; AUDIT_NOT_PROVABLE when entries are of
 *   a version that is not known; AUDIT_CHECKPOINT_…, AUDIT_KEY_UNUSABLE, AUDIT_FILE_FAILED. The reason of the signal.
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
  if (place === undefined) {
    throw chainDamaged(hostId, range.first, { expected: 'the entry before it', found: 'none' })
  }
  const counts = { unprotected: 0 }
  await writeBundle(request, bundleLines(transaction, request, { range, place, counts }))
  const [first, last] = [BigInt(range.first), BigInt(range.last)]
  return {
    path: request.out,
    hostId,
    firstSequence: integerFromRow('sequence_num', range.first),
    lastSequence: integerFromRow('sequence_num', range.last),
    entries: Number(last - first + 1n),
    ...counts,
    context: Number(head.sequenceNum - last),
  }
}

interface Exported {
  readonly range: SequenceRange
  readonly place: ChainPlace
  /** Counted while the lines are made. */
  readonly counts: { unprotected: number }
}

async function* bundleLines(
  transaction: QueryRunner,
  request: EvidenceRequest,
  { range, place: previous, counts }: Exported,
): AsyncGenerator<string> {
  const { hostId, head, signal } = request
  const exportedAt = new Date().toISOString().replace('Z', '000Z')
  const hostname = await findHostname(transaction, hostId)
  yield encodeLine({ kind: 'header', hostId, hostname, exportedAt, previous })
  const walk = new ChainWalk(hostId, previous)
  const last = BigInt(range.last)
  const entries = walkEntries(transaction, walk, String(head.sequenceNum), signal)
  for await (const { line, payloadSha256 } of entries) {
    if (BigInt(line.sequenceNum) <= last) {
      if (line.hashVersion === 0) counts.unprotected++
      yield encodeLine(line)
    } else {
      const { payload: _, ...fields } = line
      yield encodeLine({ ...fields, kind: 'context', payloadSha256 })
    }
  }
  const { sequenceNum, linkHash } = walk.place
  if (sequenceNum !== String(head.sequenceNum) || linkHash !== head.linkHash) {
    const found = `${linkHash} at entry ${sequenceNum}`
    throw chainDamaged(hostId, String(head.sequenceNum), { expected: head.linkHash, found })
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
