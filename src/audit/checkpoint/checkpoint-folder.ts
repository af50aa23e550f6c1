import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import type { NoteVerifier } from '../note/audit-key.ts'
import { readCheckpoint, type SignedCheckpoint } from './checkpoint-files.ts'

/** The time of a checkpoint, without the colons that not every file system takes. In the order of time, as text. */
const NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}Z\.checkpoint$/

/** What a checkpoint of this time is called in its folder. */
export function folderName(time: string): string {
  return `${time.replaceAll(':', '-')}.checkpoint`
}

/**
 * The newest checkpoint in a folder; `undefined` when it holds none. Other files are passed over, but one with the name of a
 * checkpoint must be one: an older one never stands in for it.
 * @throws InvalidInputError when there is no such folder.
 * @throws TripwireStorageError as `readCheckpoint` does, and AUDIT_CHECKPOINT_INVALID when it has the name of another time.
 */
export async function newestInFolder(
  field: string,
  folder: string,
  trusted: readonly NoteVerifier[],
): Promise<SignedCheckpoint | undefined> {
  const name = (await listFolder(field, folder))
    .filter(each => NAME.test(each))
    .toSorted()
    .at(-1)
  if (name === undefined) return undefined
  const newest = await readCheckpoint(field, join(folder, name), trusted)
  if (folderName(newest.checkpoint.time) === name) return newest
  throw new TripwireStorageError(
    'AUDIT_CHECKPOINT_INVALID',
    `${newest.path}: signed at ${newest.checkpoint.time}, which is another time than that of its name`,
  )
}

async function listFolder(field: string, folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (cause) {
    throw new InvalidInputError(field, folder, 'a folder that can be read', { cause })
  }
}
