/**
 * Looks into the folder of a spool from outside, also while a process has it: writes nothing, takes no lock, and does not ask
 * SQLite, which would do both. It reads the pages of the files and makes sure that they did not change meanwhile.
 */
import { type BigIntStats, existsSync, readdirSync, statSync } from 'node:fs'
import { isFolderLocked, isFolderLockedHere, readLockHolder } from '../files/folder-lock.ts'
import { isIntact } from './alert-record.ts'
import { PageImages } from './page-images.ts'
import { asSpoolError } from './spool-error.ts'
import { SpoolFiles } from './spool-files.ts'
import { readRecords } from './table-page.ts'
import { readWal } from './wal-frames.ts'

/** Larger files are not read: that would block the event loop for long. */
const LARGEST_READ_BYTES = 256 * 1024 ** 2
const MOST_TRIES = 5

export interface SpoolInspection {
  /** Whether a process has the spool open. */
  readonly isInUse: boolean
  /** Its id, when it is known. */
  readonly holderPid: number | undefined
  /** What the files of the queue take on the disk. An empty one keeps up to 5 MiB. */
  readonly fileBytes: number
  /** What waits in it; `undefined` when it cannot be told, because `reason`. */
  readonly waiting: SpoolWaiting | undefined
  readonly reason: string | undefined
  /** Files that hold what was damaged and set aside. */
  readonly setAside: readonly string[]
}

export interface SpoolWaiting {
  readonly alerts: number
  /** As the spool counts them. */
  readonly bytes: number
  /** Whether a part of the files is damaged: the next start sets it aside. */
  readonly isDamaged: boolean
}

/**
 * Blocks the event loop while it reads. It must: closing a file drops every lock that the process has on it, so a spool of this
 * process must not be opened meanwhile.
 * @returns `undefined` when there is no spool in the folder, or no folder.
 * @throws TripwireStorageError SPOOL_FAILED when the folder cannot be read.
 */
export function inspectSpool(folder: string): SpoolInspection | undefined {
  try {
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined
    const files = new SpoolFiles(folder)
    const setAside = readdirSync(folder).filter(name => name.startsWith('spool.damaged-'))
    if (!files.exist && !existsSync(files.complete) && setAside.length === 0) return undefined
    return {
      isInUse: isFolderLocked(folder),
      holderPid: readLockHolder(folder),
      setAside,
      ...readQueue(files),
    }
  } catch (error) {
    throw asSpoolError(error, folder)
  }
}

type Queue = Pick<SpoolInspection, 'fileBytes' | 'waiting' | 'reason'>

function readQueue(files: SpoolFiles): Queue {
  for (let tries = 1; ; tries++) {
    const before = stateOf(files)
    const fileBytes = before.reduce((sum, file) => sum + Number(file?.size ?? 0), 0)
    const unknown = (reason: string): Queue => ({ fileBytes, waiting: undefined, reason })
    if (isFolderLockedHere(files.folder)) return unknown('this process has it open')
    if (fileBytes > LARGEST_READ_BYTES) return unknown('its files are too large to be read')
    const waiting = readWaiting(files)
    if (isSame(before, stateOf(files))) return { fileBytes, waiting, reason: undefined }
    if (tries === MOST_TRIES) return unknown('its files are being written')
  }
}

function stateOf(files: SpoolFiles): readonly (BigIntStats | undefined)[] {
  return [files.database, files.wal, files.complete].map(path =>
    statSync(path, { bigint: true, throwIfNoEntry: false }),
  )
}

function isSame(
  before: readonly (BigIntStats | undefined)[],
  after: readonly (BigIntStats | undefined)[],
): boolean {
  return before.every((file, index) => {
    const other = after[index]
    return file?.ino === other?.ino && file?.size === other?.size && file?.mtimeNs === other?.mtimeNs
  })
}

function readWaiting(files: SpoolFiles): SpoolWaiting {
  // A database that waits to take the place of the present one has no log.
  const isReplaced = existsSync(files.complete)
  const path = isReplaced ? files.complete : files.database
  const log = isReplaced ? undefined : readWal(files.wal)
  using images = new PageImages(path, files.wal, log?.frames.slice(0, log.committed?.frames ?? 0) ?? [])
  const pages = log?.committed?.pages ?? images.filePages
  let isDamaged = log?.damaged === true || pages === 0
  let alerts = 0
  let bytes = 0
  for (let number = 1; number <= pages; number += 1) {
    const page = images.find(number)
    if (page === undefined) isDamaged = true
    for (const { sequence, record } of page ? readRecords(page, other => images.find(other)) : []) {
      if (record === undefined || !isIntact(sequence, record)) {
        isDamaged = true
        continue
      }
      alerts += 1
      bytes += record.length
    }
  }
  return { alerts, bytes, isDamaged }
}
