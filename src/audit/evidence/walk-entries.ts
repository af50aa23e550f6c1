import { TripwireStorageError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { payloadDigest } from '../link-hash.ts'
import { type AuditRow, parseAuditLine } from '../verify/audit-row.ts'
import { rangeOf, readAuditLines } from '../verify/read-audit-lines.ts'
import type { EntryLine } from './bundle-lines.ts'
import { type ChainWalk, chainDamaged } from './chain-walk.ts'

/** An entry of the database that continues the one before it, in the form that a bundle gives it. */
export interface WalkedEntry {
  readonly line: EntryLine
  readonly payloadSha256: string
}

/**
 * Walks on along the rows of a chain, up to a number. In a transaction with one snapshot.
 * @throws TripwireStorageError AUDIT_DAMAGED at the first that does not continue the chain; AUDIT_NOT_PROVABLE. The reason of the signal.
 */
export async function* walkEntries(
  transaction: QueryRunner,
  walk: ChainWalk,
  to: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<WalkedEntry> {
  const { hostId } = walk
  const from = String(BigInt(walk.place.sequenceNum) + 1n)
  for await (const lines of readAuditLines(transaction, rangeOf(hostId, from, to), { signal })) {
    for (const text of lines) {
      const line = entryLineOf(parseAuditLine(text))
      const payloadSha256 = payloadDigest(line.payload)
      const problem = walk.step(line, payloadSha256)
      if (problem) throw chainDamaged(hostId, line.sequenceNum, problem)
      yield { line, payloadSha256 }
    }
  }
}

function entryLineOf(row: AuditRow): EntryLine {
  const { hostId, sequenceNum, entryId, createdAt, prevHash, eventHash, version, payload } = row
  if (version !== '0' && version !== '1') {
    throw new TripwireStorageError(
      'AUDIT_NOT_PROVABLE',
      `host ${hostId}, entry ${sequenceNum}: hash_version ${version || 'NULL'} is not known here, so nothing can be proven of it`,
      { hint: 'tripwire-storage audit verify; a newer version of it may know' },
    )
  }
  return {
    kind: 'entry',
    sequenceNum: String(sequenceNum),
    entryId,
    createdAt,
    prevHash,
    eventHash,
    rowHash: row.hasRowHash ? row.rowHash : null,
    hashVersion: version === '0' ? 0 : 1,
    payload,
  }
}
