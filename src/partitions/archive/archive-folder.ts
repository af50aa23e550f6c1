import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../../files/new-file.ts'
import { archiveFailed, onDisk } from './archive-errors.ts'
import { isProbe, isUnfinished, manifestNumber, probeName } from './archive-names.ts'

/** An archive holds what the database keeps from others. */
export const OWNER_ONLY = 0o600
/** As large as a block, so that it needs space. */
const PROBE = Buffer.alloc(4096)

/** @throws TripwireStorageError ARCHIVE_FAILED when it is missing or no folder. */
export async function requireFolder(folder: string): Promise<void> {
  const found = await onDisk(folder, () => stat(folder))
  if (!found.isDirectory()) throw archiveFailed(`${folder} is not a folder`, 'name a folder')
}

/**
 * Writes, syncs and removes a file in a folder.
 * @throws TripwireStorageError ARCHIVE_FAILED when one of these cannot be done.
 */
export async function requireWritable(folder: string): Promise<void> {
  const path = join(folder, probeName())
  await onDisk(folder, async () => {
    const handle = await open(path, 'wx', OWNER_ONLY)
    try {
      await handle.writeFile(PROBE)
      await handle.sync()
    } finally {
      await handle.close()
      // Another one may have taken it for a leftover.
      await rm(path, { force: true })
    }
  })
  await syncNames(folder)
}

/**
 * Removes what cut runs left: the unfinished archives of this table, which only the holder of its lock writes, and probes. Should
 * their writer live after all, it finds its file gone and fails; a finished archive has another name.
 */
export async function removeLeftovers(folder: string, partition: string, owner: string): Promise<void> {
  const names = await onDisk(folder, () => readdir(folder))
  const left = names.filter(name => isProbe(name) || isUnfinished(partition, owner, name))
  for (const name of left) await onDisk(join(folder, name), () => rm(join(folder, name), { force: true }))
}

/** The numbers of the finished archives of a month, in rising order. */
export async function listArchives(folder: string, partition: string): Promise<readonly number[]> {
  const names = await onDisk(folder, () => readdir(folder))
  return names.flatMap(name => manifestNumber(partition, name) ?? []).sort((a, b) => a - b)
}

/** Makes the content of a file durable. */
export async function syncFile(path: string): Promise<void> {
  await onDisk(path, async () => {
    await using handle = await open(path, 'r+')
    await handle.sync()
  })
}

/** Makes the names in a folder durable. */
export async function syncNames(folder: string): Promise<void> {
  await onDisk(folder, () => syncFolder(folder))
}
