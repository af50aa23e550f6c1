import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** The lock itself. Never open this file by other means: closing it would drop the lock of this process. */
export const LOCK_FILE = 'owner.lock'
/** The process id of the holder, for messages only. */
export const LOCK_PID_FILE = 'owner.pid'

const SQLITE_BUSY = 5
/** Whoever only looks whether a folder is locked is gone long before this. */
const BUSY_TIMEOUT_MS = 100

/** A lock on a folder. The operating system drops it when the process ends, however it ends. */
export interface FolderLock extends Disposable {
  /** Gives the folder free. Calling it again does nothing. */
  release(): void
}

/** With their folders. A lock that is only reachable from here would otherwise be closed by the garbage collector. */
const heldLocks = new Map<DatabaseSync, string>()

/**
 * Locks a folder for this process, without waiting for another holder. The folder must exist.
 *
 * Node has no call for file locks, but SQLite takes one for an exclusive transaction, on every platform, and
 * refuses a second one within the same process too.
 * @returns `null` when the lock is held, by another process or by this one.
 * @throws the error of SQLite or of the file system when the folder cannot be written.
 */
export function lockFolder(folder: string): FolderLock | null {
  const database = new DatabaseSync(join(folder, LOCK_FILE), { timeout: BUSY_TIMEOUT_MS })
  try {
    // A journal on disk would outlive a killed process, and could belong to another account than the next one.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    writePid(folder)
  } catch (error) {
    database.close()
    if (isBusy(error)) return null
    throw error
  }
  heldLocks.set(database, realpathSync(folder))
  const release = () => {
    if (!heldLocks.delete(database)) return
    try {
      rmSync(join(folder, LOCK_PID_FILE), { force: true })
    } catch {
      // The file is only for messages; a folder that has become read-only shall not keep the lock.
    }
    database.close()
  }
  return { release, [Symbol.dispose]: release }
}

/**
 * Whether somebody has a folder locked now. It does not take the lock, and writes nothing.
 * @throws the error of SQLite when the lock cannot be looked at.
 */
export function isFolderLocked(folder: string): boolean {
  if (!existsSync(join(folder, LOCK_FILE))) return false
  const database = new DatabaseSync(join(folder, LOCK_FILE), { readOnly: true })
  try {
    database.prepare('SELECT count(*) FROM sqlite_schema').get()
    return false
  } catch (error) {
    if (isBusy(error)) return true
    throw error
  } finally {
    database.close()
  }
}

/** Whether this process has it locked. */
export function isFolderLockedHere(folder: string): boolean {
  return [...heldLocks.values()].includes(realpathSync(folder))
}

/** The process id of whoever locked the folder last, for messages. `undefined` when it is not known. */
export function readLockHolder(folder: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(folder, LOCK_PID_FILE), 'utf8'))
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

function writePid(folder: string): void {
  const path = join(folder, LOCK_PID_FILE)
  const temporary = `${path}.tmp-${randomUUID()}`
  try {
    writeFileSync(temporary, `${process.pid}\n`, { flag: 'wx' })
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    if (!isDiskFull(error)) throw error
    // The id is only for messages: a full disk must not keep a folder from its owner. An old id would mislead.
    rmSync(path, { force: true })
  }
}

function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}
