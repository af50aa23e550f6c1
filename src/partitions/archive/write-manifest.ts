import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { onDisk } from './archive-errors.ts'
import { syncFolder } from './archive-folder.ts'
import { type Archive, manifestText } from './manifest.ts'

const OWNER_ONLY = 0o600

/**
 * Writes the manifest of an archive whose data file is durable. It appears as a whole or not at all.
 * @throws TripwireStorageError ARCHIVE_FAILED: then there is no manifest.
 */
export async function writeManifest({ manifestPath, manifest }: Archive): Promise<void> {
  const temporary = `${manifestPath}.tmp`
  try {
    await onDisk(manifestPath, async () => {
      await writeDurably(temporary, manifestText(manifest))
      await rename(temporary, manifestPath)
    })
    await syncFolder(dirname(manifestPath))
  } catch (error) {
    await Promise.allSettled([rm(temporary, { force: true }), rm(manifestPath, { force: true })])
    throw error
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  await using handle = await open(path, 'w', OWNER_ONLY)
  await handle.writeFile(text)
  await handle.sync()
}
