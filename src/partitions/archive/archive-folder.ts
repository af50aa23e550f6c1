import { randomUUID } from 'node:crypto'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { archiveFailed, onDisk, systemCode } from './archive-errors.ts'
import { type ArchiveNames, archiveNames, manifestNumber } from './archive-names.ts'

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
  const path = join(folder, `.probe.${randomUUID()}.tmp`)
  await onDisk(folder, async () => {
    const handle = await open(path, 'wx', OWNER_ONLY)
    try {
      await handle.writeFile(PROBE)
      await handle.sync()
    } finally {
      await handle.close()
      await rm(path)
    }
  })
  await syncFolder(folder)
}

/** The numbers of the finished archives of a month, in rising order. */
export async function listArchives(folder: string, partition: string): Promise<readonly number[]> {
  const names = await onDisk(folder, () => readdir(folder))
  return names.flatMap(name => manifestNumber(partition, name) ?? []).sort((a, b) => a - b)
}

/** The names of a month's next archive. What a run that was cut left under them is gone. */
export async function takeNames(folder: string, partition: string, after: number): Promise<ArchiveNames> {
  for (let number = after + 1; ; number++) {
    const names = archiveNames(partition, number)
    if (await onDisk(folder, () => clearLeftover(folder, names))) return names
  }
}

/**
 * A data file without a manifest is what a cut run left. It is moved away before it is removed: should its manifest have
 * appeared by then, it belongs to somebody who shares the folder, and goes back.
 */
async function clearLeftover(folder: string, { file, manifest }: ArchiveNames): Promise<boolean> {
  const path = join(folder, file)
  const aside = `${path}.${randomUUID()}.tmp`
  try {
    await rename(path, aside)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    return !(await exists(join(folder, manifest)))
  }
  if (await exists(join(folder, manifest))) {
    await rename(aside, path)
    return false
  }
  await rm(aside, { force: true })
  return true
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    return false
  }
}

/** Makes the content of a file durable. */
export async function syncFile(path: string): Promise<void> {
  await onDisk(path, async () => {
    await using handle = await open(path, 'r+')
    await handle.sync()
  })
}

const NO_SYNC: ReadonlySet<string | undefined> = new Set(['EPERM', 'EISDIR', 'EINVAL', 'EACCES'])

/** Makes the names in a folder durable. Windows has no such call and does not need it. */
export async function syncFolder(folder: string): Promise<void> {
  await onDisk(folder, async () => {
    try {
      await using handle = await open(folder, 'r')
      await handle.sync()
    } catch (error) {
      if (!NO_SYNC.has(systemCode(error))) throw error
    }
  })
}
