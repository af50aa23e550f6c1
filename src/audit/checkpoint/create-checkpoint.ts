import { join } from 'node:path'
import type { AuditCheckpoint, AuditCheckpointProgress, AuditDamage } from '../../model/audit-checkpoint.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { integerFromRow } from '../../pg/row-values.ts'
import { signNote } from '../note/signed-note.ts'
import { AuditDamagedError } from './audit-damaged-error.ts'
import { type CheckpointFiles, type SignedCheckpoint, writeCheckpoint } from './checkpoint-files.ts'
import { folderName } from './checkpoint-folder.ts'
import { type CheckpointRequest, readRequest } from './checkpoint-request.ts'
import { checkpointText, headsText, makeCheckpoint } from './checkpoint-text.ts'
import { findHeadsAgain } from './find-heads-again.ts'
import type { Head } from './head.ts'
import { readHeads } from './read-heads.ts'

/** What came out of verifying the entries after some heads. */
export interface NewEntriesReport {
  readonly entries: number
  /** Of these, how many are of version 0. */
  readonly unprotectedEntries: number
  readonly findings: readonly AuditDamage[]
}

/** Verifies the entries of all chains that come after these heads, by host; of a chain without a head there, all entries. */
export type VerifyNewEntries = (
  transaction: QueryRunner,
  options: {
    readonly afterHeads: ReadonlyMap<string, Head>
    readonly signal: AbortSignal | undefined
    readonly onProgress: ((progress: AuditCheckpointProgress) => void) | undefined
  },
) => Promise<NewEntriesReport>

/**
 * Signs the heads of all chains as they stand in one snapshot, once everything in it that is new is verified and every head of
 * the earlier checkpoints is found again. Options are read at the border: see `AuditCheckpointOptions`.
 * @throws InvalidInputError
 * @throws AuditDamagedError: nothing was signed. TripwireStorageError AUDIT_KEY_UNUSABLE, AUDIT_CHECKPOINT_INVALID,
 *   AUDIT_CHECKPOINT_UNVERIFIED, AUDIT_FILE_FAILED. DatabaseError. The reason of the signal.
 */
export async function createCheckpoint(
  db: Database,
  options: unknown,
  verifyNewEntries: VerifyNewEntries,
): Promise<AuditCheckpoint> {
  const request = await readRequest(options)
  const { signer, signal } = request
  const { heads, report } = await verifiedHeads(db, request, verifyNewEntries)
  signal?.throwIfAborted()
  const checkpoint = makeCheckpoint(signer.verifier.name, timeAfter(request.earlier), heads)
  const files = { note: signNote(checkpointText(checkpoint), [signer]), heads: headsText(heads) }
  return {
    origin: checkpoint.origin,
    time: checkpoint.time,
    chains: checkpoint.size,
    entries: integerFromRow('entries', String(checkpoint.entries)),
    root: checkpoint.root.toString('base64'),
    verifiedEntries: report.entries,
    unprotectedEntries: report.unprotectedEntries,
    ...files,
    files: await writeFiles(request, checkpoint.time, files),
  }
}

/** One snapshot. A row that a policy would hide must be an error: its chain would be missing. */
const PREPARE_SNAPSHOT = `
  SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
  SET LOCAL row_security = off`

async function verifiedHeads(
  db: Database,
  { basis, earlier, signal, onProgress }: CheckpointRequest,
  verifyNewEntries: VerifyNewEntries,
): Promise<{ readonly heads: readonly Head[]; readonly report: NewEntriesReport }> {
  try {
    return await db.transaction(async transaction => {
      await transaction.runScript(PREPARE_SNAPSHOT)
      const heads = await readHeads(transaction, signal)
      const byHost = headsByHost(heads)
      const findings: AuditDamage[] = []
      for (const each of earlier) findings.push(...(await findHeadsAgain(transaction, each, byHost, signal)))
      const afterHeads = headsByHost(basis?.heads ?? [])
      const report = await verifyNewEntries(transaction, { afterHeads, signal, onProgress })
      findings.push(...report.findings)
      if (findings.length > 0) throw new AuditDamagedError(findings)
      return { heads, report }
    })
  } catch (error) {
    // The transaction takes the reason for an error of the connection.
    signal?.throwIfAborted()
    throw error
  }
}

function headsByHost(heads: readonly Head[]): ReadonlyMap<string, Head> {
  return new Map(heads.map(head => [head.hostId, head]))
}

/** Now, and never the time of an earlier checkpoint or before it, also when the clock was set back. */
function timeAfter(earlier: readonly SignedCheckpoint[]): string {
  const now = parseTimestamp('time', new Date())
  const latest = earlier
    .map(({ checkpoint }) => checkpoint.time)
    .toSorted()
    .at(-1)
  return latest === undefined || latest < now ? now : oneMicrosecondAfter(latest)
}

const MICROS_AT = '2026-03-01T10:00:00.123'.length

function oneMicrosecondAfter(time: string): string {
  const micros = Number(time.slice(MICROS_AT, -1)) + 1
  const ms = Date.parse(`${time.slice(0, MICROS_AT)}Z`) + Math.floor(micros / 1000)
  const text = parseTimestamp('time', new Date(ms))
  return `${text.slice(0, MICROS_AT)}${String(micros % 1000).padStart(3, '0')}Z`
}

async function writeFiles(
  { folder, out }: CheckpointRequest,
  time: string,
  files: CheckpointFiles,
): Promise<readonly string[]> {
  const written: string[] = []
  if (folder !== undefined) {
    const path = join(folder, folderName(time))
    await writeCheckpoint('options.folder', path, files)
    written.push(path)
  }
  if (out !== undefined) {
    await writeCheckpoint('options.out', out, files)
    written.push(out)
  }
  return written
}
