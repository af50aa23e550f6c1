/** Which failures mean a full disk, which a damaged file, and which that the folder cannot be used. */
import { TripwireStorageError } from '../errors.ts'

// https://sqlite.org/rescode.html
const SQLITE_ERROR = 1
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_FORMAT = 24
const SQLITE_NOTADB = 26
const SQLITE_IOERR_READ = 266
const SQLITE_IOERR_SHORT_READ = 522
const SQLITE_IOERR_DATA = 8202
const SQLITE_IOERR_CORRUPTFS = 8458

/** SQLITE_ERROR stands for a statement that does not fit the schema, which is fixed: the schema is damaged. */
const DAMAGE: ReadonlySet<number> = new Set([SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_FORMAT, SQLITE_NOTADB])
const DAMAGE_EXTENDED: ReadonlySet<number> = new Set([
  SQLITE_IOERR_READ,
  SQLITE_IOERR_SHORT_READ,
  SQLITE_IOERR_DATA,
  SQLITE_IOERR_CORRUPTFS,
])
const FULL_DISK: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT'])

/** Whether SQLite found the database file to be damaged, or a part of it unreadable. */
export function isDamage(error: unknown): boolean {
  const code = sqliteCodeOf(error)
  return code !== undefined && (DAMAGE.has(code & 0xff) || DAMAGE_EXTENDED.has(code))
}

export function isDiskFull(error: unknown): boolean {
  const code = sqliteCodeOf(error)
  if (code !== undefined) return (code & 0xff) === SQLITE_FULL
  return error instanceof Error && 'code' in error && FULL_DISK.has(error.code)
}

/** The typed error for a failure of SQLite or of the file system. */
export function asSpoolError(error: unknown, folder: string): TripwireStorageError {
  if (error instanceof TripwireStorageError) return error
  if (isDiskFull(error)) {
    return new TripwireStorageError('SPOOL_FULL', `the disk of the spool ${folder} is full`, {
      cause: error,
      hint: 'free space on that disk, or let the spool drain into the database',
    })
  }
  const reason = error instanceof Error ? error.message : String(error)
  return new TripwireStorageError('SPOOL_FAILED', `the spool ${folder} cannot be used: ${reason}`, {
    cause: error,
  })
}

function sqliteCodeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode
    : undefined
}
