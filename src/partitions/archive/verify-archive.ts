import { createHash } from 'node:crypto'
import { createReadStream, type ReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import { systemCode } from '../../files/new-file.ts'
import { withAbortReason } from './abort-reason.ts'
import { archiveMismatch, asArchiveFailure, onDisk, requireSameContent } from './archive-errors.ts'
import { ContentDigest } from './content-digest.ts'
import { type Archive, type ArchiveManifest, parseManifest } from './manifest.ts'
import { Pace } from './pace.ts'

const READ_BYTES = 262_144

/**
 * Reads the manifest of an archive.
 * @throws TripwireStorageError ARCHIVE_MISMATCH when it is damaged or of a version that is not known; ARCHIVE_FAILED when it
 *   cannot be read.
 * @throws InvalidInputError when there is no such file.
 */
export async function readArchive(manifestPath: string): Promise<Archive> {
  const text = await onDisk(manifestPath, async () => {
    try {
      return await readFile(manifestPath, 'utf8')
    } catch (cause) {
      if (systemCode(cause) !== 'ENOENT') throw cause
      throw new InvalidInputError('manifestPath', manifestPath, 'the path of a manifest', { cause })
    }
  })
  try {
    return { manifestPath, manifest: parseManifest(text) }
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause
    throw new TripwireStorageError('ARCHIVE_MISMATCH', `${manifestPath}: ${cause.message}`, {
      cause,
      hint: cause.hint ?? 'look for another copy of the archive',
    })
  }
}

/**
 * Reads an archive through and compares it with its manifest: bytes and SHA-256 of the file and of its content, rows, whether the
 * compressed data is whole.
 * @param pauseShare see `Pace`.
 * @throws TripwireStorageError ARCHIVE_MISMATCH with what was expected and what was found; ARCHIVE_FAILED when it cannot be
 *   read; the reason of the signal.
 */
export async function verifyArchive(archive: Archive, signal?: AbortSignal, pauseShare = 0): Promise<void> {
  const { manifest } = archive
  await withAbortReason(signal, async () => {
    const pace = new Pace(pauseShare)
    // First the file as it is: of damaged data, gzip would only say that it cannot go on.
    const file = await digestFile(archive, pace, signal)
    for (const member of ['fileBytes', 'fileSha256'] as const) {
      if (file[member] === manifest[member]) continue
      throw archiveMismatch(`${manifest.file}, ${member}`, manifest[member], file[member])
    }
    const digest = new ContentDigest()
    for await (const bytes of readContent(archive, signal)) {
      digest.add(bytes)
      await pace.rest(signal)
    }
    requireSameContent(manifest.file, manifest, digest.finish())
  })
}

async function digestFile(
  archive: Archive,
  pace: Pace,
  signal: AbortSignal | undefined,
): Promise<Pick<ArchiveManifest, 'fileBytes' | 'fileSha256'>> {
  const hash = createHash('sha256')
  let fileBytes = 0
  for await (const bytes of readStream(archive, openFile(archive), signal)) {
    hash.update(bytes)
    fileBytes += bytes.length
    await pace.rest(signal)
  }
  return { fileBytes, fileSha256: hash.digest('hex') }
}

/**
 * The content of an archive in pieces, decompressed off the main thread.
 * @throws TripwireStorageError ARCHIVE_MISMATCH when the compressed data is damaged; ARCHIVE_FAILED when it cannot be read.
 */
export function readContent(archive: Archive, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: READ_BYTES })
  // An error of the file destroys the decompression with it, whose reader then hears of it.
  pipeline(openFile(archive), gunzip, () => undefined)
  return readStream(archive, gunzip, signal)
}

function openFile({ manifestPath, manifest }: Archive): ReadStream {
  return createReadStream(join(dirname(manifestPath), manifest.file), { highWaterMark: READ_BYTES })
}

async function* readStream(
  { manifest }: Archive,
  stream: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  try {
    for await (const bytes of stream) {
      signal?.throwIfAborted()
      yield bytes
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw archiveMismatch(manifest.file, 'a file', 'none', error)
    if (isDamage(error)) throw archiveMismatch(manifest.file, 'gzip data that is whole', error.message, error)
    throw asArchiveFailure(manifest.file, error)
  }
}

/** The codes of zlib. */
function isDamage(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
}
