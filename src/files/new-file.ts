import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, open, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Writes a file that was not there, and makes it durable. It appears as a whole or not at all, and never takes the place of
 * another: the error is EEXIST then. It works in folders where nothing may be removed or renamed; a hidden second name of the
 * file, which ends with `.tmp`, stays there. Where the file system has no hard links, a crash may leave a part of it.
 * @param content the whole text, or its pieces as they come.
 * @param mode of the file, such as 0o600.
 * @throws the error of the file system, and what `content` throws.
 */
export async function writeNewFile(
  path: string,
  content: string | AsyncIterable<string>,
  mode: number,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`)
  try {
    await writeDurably(temporary, content, mode)
    await linkOrCopy(temporary, path)
  } finally {
    // A folder may take new names only.
    await rm(temporary, { force: true }).catch(() => undefined)
  }
  await syncFolder(dirname(path))
}

const NO_HARD_LINKS: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
])

/**
 * Gives a whole and durable file a second name that was not there. A rename would take the place of a file that is there. The
 * name is durable when its folder is synced.
 * @throws the error of the file system: EEXIST when the name is taken.
 */
export async function linkOrCopy(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    if (!NO_HARD_LINKS.has(systemCode(error))) throw error
    await copyFile(temporary, path, constants.COPYFILE_EXCL)
    try {
      await using handle = await open(path, 'r+')
      await handle.sync()
    } catch (failure) {
      // It was made here, so it is nobody else's.
      await rm(path, { force: true }).catch(() => undefined)
      throw failure
    }
  }
}

/** Writes a new file and makes its content durable; on an error it is gone again. */
export async function writeDurably(
  path: string,
  content: string | AsyncIterable<string>,
  mode: number,
): Promise<void> {
  const handle = await open(path, 'wx', mode)
  try {
    await handle.writeFile(content)
    await handle.sync()
    await handle.close()
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(path, { force: true }).catch(() => undefined)
    throw error
  }
}

const NO_SYNC: ReadonlySet<string | undefined> = new Set(['EPERM', 'EISDIR', 'EINVAL', 'EACCES'])

/** Makes the names in a folder durable. Windows has no such call and does not need it. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    await using handle = await open(folder, 'r')
    await handle.sync()
  } catch (error) {
    if (!NO_SYNC.has(systemCode(error))) throw error
  }
}

/** The name of an error of the operating system, such as ENOENT. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}
