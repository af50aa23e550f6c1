import { TripwireStorageError } from '../../errors.ts'
import { systemCode } from '../../files/new-file.ts'
import type { Content } from './content-digest.ts'

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'free space on that disk, or name a folder on another one',
  EDQUOT: 'free space on that disk, or name a folder on another one',
  ENOENT: 'make the folder, or name another one',
  ENOTDIR: 'name a folder',
  EACCES: 'give this account access, or name another folder',
  EPERM: 'give this account access, or name another folder',
  EROFS: 'name a folder that can be written',
}

/** Runs `work` on a file or folder of an archive: what the file system refuses is ARCHIVE_FAILED. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asArchiveFailure(path, error)
  }
}

/** ARCHIVE_FAILED for an error of the file system; any other one as it is. */
export function asArchiveFailure(path: string, cause: unknown): unknown {
  const code = systemCode(cause)
  if (!(cause instanceof Error) || code === undefined) return cause
  return new TripwireStorageError('ARCHIVE_FAILED', `${path}: ${cause.message}`, { cause, hint: HINTS[code] })
}

export function archiveFailed(message: string, hint?: string): TripwireStorageError {
  return new TripwireStorageError('ARCHIVE_FAILED', message, { hint })
}

export function archiveMismatch(
  what: string,
  expected: string | number,
  found: string | number,
  cause?: unknown,
): TripwireStorageError {
  return new TripwireStorageError('ARCHIVE_MISMATCH', `${what}: expected ${expected}, found ${found}`, {
    cause,
  })
}

/**
 * Compares content with what the manifest says of it.
 * @throws TripwireStorageError ARCHIVE_MISMATCH
 */
export function requireSameContent(what: string, expected: Content, found: Content): void {
  for (const member of ['rows', 'contentBytes', 'contentSha256'] as const) {
    if (expected[member] !== found[member]) {
      throw archiveMismatch(`${what}, ${member}`, expected[member], found[member])
    }
  }
}
