import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { linkOrCopy, systemCode, writeDurably } from '../../files/new-file.ts'
import { onDisk } from './archive-errors.ts'
import { OWNER_ONLY, syncNames } from './archive-folder.ts'
import { archiveNames, unfinishedName } from './archive-names.ts'
import { type Archive, type ManifestFields, makeManifest, manifestText } from './manifest.ts'

/**
 * Gives an archive that is whole its names, those of the first number after `after` that nobody has: first the data file, at
 * last the manifest. Names are only taken that are free, and only those are given up again that were taken here.
 *
 * Cut in between, a data file without a manifest stays. Nobody removes it: it looks like one whose manifest is about to appear.
 * @param path of the data file, which is durable; it keeps this name, too.
 * @throws TripwireStorageError ARCHIVE_FAILED: then there is no manifest, or a whole archive.
 */
export async function publishArchive(
  path: string,
  fields: Omit<ManifestFields, 'file'>,
  { owner, after }: { readonly owner: string; readonly after: number },
): Promise<Archive> {
  const folder = dirname(path)
  const unfinished = join(folder, unfinishedName(fields.partition, owner))
  for (let number = after + 1; ; number++) {
    const names = archiveNames(fields.partition, number)
    const manifest = makeManifest({ ...fields, file: names.file })
    const manifestPath = join(folder, names.manifest)
    try {
      // Before the names are taken, so that they follow at once.
      await onDisk(manifestPath, () => writeDurably(unfinished, manifestText(manifest), OWNER_ONLY))
      const isTaken = await takeNames(path, join(folder, names.file), unfinished, manifestPath)
      if (isTaken) return { manifestPath, manifest }
    } finally {
      await rm(unfinished, { force: true }).catch(() => undefined)
    }
  }
}

/** @returns whether the names were free and are ours now. */
async function takeNames(
  data: string,
  dataPath: string,
  manifest: string,
  manifestPath: string,
): Promise<boolean> {
  if (!(await takeName(data, dataPath))) return false
  let isTaken = false
  try {
    await syncNames(dirname(dataPath))
    isTaken = await takeName(manifest, manifestPath)
  } finally {
    if (!isTaken) await rm(dataPath, { force: true }).catch(() => undefined)
  }
  await syncNames(dirname(dataPath))
  return isTaken
}

async function takeName(unfinished: string, path: string): Promise<boolean> {
  return onDisk(path, async () => {
    try {
      await linkOrCopy(unfinished, path)
      return true
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
      return false
    }
  })
}
