import { join } from 'node:path'
import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import { parseInteger, parseText } from '../../model/input.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { withAbortReason } from './abort-reason.ts'
import { listArchives, removeLeftovers, requireFolder } from './archive-folder.ts'
import { partitionOfMonth } from './archive-month.ts'
import { archiveNames, unfinishedName } from './archive-names.ts'
import { listArchivedHosts } from './archived-hosts.ts'
import { type Content, ContentDigest } from './content-digest.ts'
import { identifyTable, lockDetachedTable } from './detached-table.ts'
import { GzipFile } from './gzip-file.ts'
import type { Archive } from './manifest.ts'
import { PAUSE_SHARE } from './pace.ts'
import { publishArchive } from './publish-archive.ts'
import { digestTable, readTableLines } from './table-lines.ts'
import { prepareTransaction } from './transaction-settings.ts'
import { readArchive, verifyArchive } from './verify-archive.ts'
import { requireWithinBounds } from './within-bounds.ts'

export interface ArchiveRequest {
  /** The name of a table that is detached from `alerts`, as it stands in the catalogue. */
  readonly table: string
  /** Its bounds as a partition: those of one month in UTC. RFC 3339. */
  readonly from: string
  readonly to: string
  readonly archiveDir: string
  /** The version of the schema that the table has. */
  readonly schemaVersion: number
  /** Looked at after each page of alerts. */
  readonly signal?: AbortSignal | undefined
}

const LONGEST_PATH = 4096

/**
 * Writes all alerts of a detached month into an archive, and makes it durable. When there is one already with the same content,
 * and it is whole, that one is the answer. No file of another one is overwritten or removed: others may share the folder. One
 * that was cut is written anew.
 *
 * It goes on slowly on purpose: after each piece of work it rests for as long, so that inserts keep their latency.
 * @throws InvalidInputError
 * @throws TripwireStorageError ARCHIVE_FAILED when the table or the folder cannot be used, or the disk is full: nothing that
 *   looks finished is left. DatabaseError. The reason of the signal.
 */
export async function writeArchive(db: Database, request: ArchiveRequest): Promise<Archive> {
  const month = parseRequest(request)
  const { signal } = request
  return withAbortReason(signal, async () => {
    await requireFolder(month.archiveDir)
    return db.transaction(async transaction => {
      await prepareTransaction(transaction)
      // The same rows for every page, without a snapshot that would hold back VACUUM for as long.
      const table = await lockDetachedTable(transaction, month.table, signal)
      await requireWithinBounds(transaction, table, month)
      const owner = await identifyTable(transaction, table)
      await removeLeftovers(month.archiveDir, month.partition, owner)
      const numbers = await listArchives(month.archiveDir, month.partition)
      const present = await findSameArchive(transaction, table, month, numbers, signal)
      if (present) return present
      return writeNextArchive(transaction, table, month, { owner, after: numbers.at(-1) ?? 0 }, signal)
    })
  })
}

interface Month {
  readonly table: string
  readonly partition: string
  readonly from: string
  readonly to: string
  readonly archiveDir: string
  readonly schemaVersion: number
}

function parseRequest(request: ArchiveRequest): Month {
  const from = parseTimestamp('from', request.from)
  const to = parseTimestamp('to', request.to)
  const partition = partitionOfMonth(from, to)
  if (partition === undefined)
    throw new InvalidInputError('to', request.to, 'the end of the month (UTC) of `from`')
  return {
    table: parseText('table', request.table, LONGEST_PATH),
    partition,
    from,
    to,
    archiveDir: parseText('archiveDir', request.archiveDir, LONGEST_PATH),
    schemaVersion: parseInteger('schemaVersion', request.schemaVersion, 1, Number.MAX_SAFE_INTEGER),
  }
}

const PASSED_OVER: ReadonlySet<string> = new Set(['ARCHIVE_MISMATCH', 'ARCHIVE_FAILED'])

/**
 * A finished archive that holds what the table holds. One that is damaged is passed over, and one that cannot be read: it may
 * belong to another account that shares the folder.
 */
async function findSameArchive(
  transaction: QueryRunner,
  table: string,
  month: Month,
  numbers: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Archive | undefined> {
  if (numbers.length === 0) return undefined
  const { contentSha256 } = await digestTable(transaction, table, { signal, pauseShare: PAUSE_SHARE })
  for (const number of numbers.toReversed()) {
    const manifestPath = join(month.archiveDir, archiveNames(month.partition, number).manifest)
    try {
      const archive = await readArchive(manifestPath)
      if (archive.manifest.contentSha256 !== contentSha256) continue
      await verifyArchive(archive, signal, PAUSE_SHARE)
      return archive
    } catch (error) {
      if (!(error instanceof TripwireStorageError) || !PASSED_OVER.has(error.code)) throw error
    }
  }
  return undefined
}

async function writeNextArchive(
  transaction: QueryRunner,
  table: string,
  month: Month,
  { owner, after }: { readonly owner: string; readonly after: number },
  signal: AbortSignal | undefined,
): Promise<Archive> {
  const { archiveDir, partition, from, to, schemaVersion } = month
  const hosts = await listArchivedHosts(transaction, table)
  const path = join(archiveDir, unfinishedName(partition, owner))
  const file = await GzipFile.create(path)
  try {
    const lines = readTableLines(transaction, table, { signal, pauseShare: PAUSE_SHARE })
    const written = { ...(await writeLines(file, lines)), ...(await file.finish()) }
    signal?.throwIfAborted()
    const createdAt = parseTimestamp('createdAt', new Date())
    const fields = { partition, from, to, ...written, schemaVersion, createdAt, hosts }
    return await publishArchive(path, fields, { owner, after })
  } finally {
    await file.discard()
  }
}

async function writeLines(file: GzipFile, lines: AsyncIterable<Buffer>): Promise<Content> {
  const digest = new ContentDigest()
  for await (const bytes of lines) {
    digest.add(bytes)
    await file.write(bytes)
  }
  return digest.finish()
}
