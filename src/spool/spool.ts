import { TripwireStorageError } from '../errors.ts'
import { type FolderLock, lockFolder, readLockHolder } from '../files/folder-lock.ts'
import { parseInteger, parseText } from '../model/input.ts'
import { encodeAlert } from './alert-record.ts'
import { DAMAGED_ROWS_AT_ONCE, DamagedRows } from './damaged-rows.ts'
import { recoverDatabase } from './recover-database.ts'
import { salvage } from './salvage.ts'
import { toRanges } from './sequence-ranges.ts'
import { SpoolDatabase } from './spool-database.ts'
import { readEntries, type SpoolEntry } from './spool-entry.ts'
import { asSpoolError, isDamage, isDiskFull } from './spool-error.ts'
import { SpoolFiles } from './spool-files.ts'
import type { SpooledAlert } from './spooled-alert.ts'
import type { StoredRecord } from './table-page.ts'

const DEFAULT_MAX_BYTES = 1024 ** 3
const LONGEST_FOLDER = 4096

export interface SpoolOptions {
  /** A folder on a local disk, for this spool alone. It is created, for its owner only, when it does not exist. */
  readonly folder: string
  /**
   * How many bytes of alerts the spool takes, at least 1. An alert takes 60 bytes, its rule name and its detail. The files
   * need about a tenth more, and a few MiB. Defaults to 1,073,741,824 (1 GiB).
   */
  readonly maxBytes?: number | undefined
}

/** What was in the folder when the spool was opened. */
export interface SpoolRecovery {
  /** Alerts that wait to be read. */
  readonly alerts: number
  /** Alerts that are known to be lost. What was lost at the end of a truncated file may not be among them. */
  readonly damaged: number
  /** Names of the files in the folder that hold what was damaged. The spool never reads or deletes them. */
  readonly setAside: readonly string[]
}

export interface SpoolSize {
  readonly alerts: number
  /** What the alerts take of `maxBytes`. */
  readonly bytes: number
  /** Alerts found to be damaged, at the opening and since. */
  readonly damaged: number
}

/**
 * A queue of alerts on the local disk, for the time in which the database is away.
 *
 * Every method is synchronous and blocks the event loop until the disk has answered; an append takes one fsync, a few
 * milliseconds on most disks. That is accepted: the spool works only while the database does not, one append takes
 * a whole batch, and an acknowledgement must not be given before the disk has the alert anyway.
 *
 * Damage never keeps the spool from working, neither at the opening nor later: intact alerts are delivered; what is not intact
 * is moved to files named `spool.damaged-…` in the folder, and counted. After damage, alerts that were
 * removed shortly before may be delivered once more.
 *
 * All methods but `close` throw TripwireStorageError: STORE_CLOSED after `close`, SPOOL_FAILED when the folder cannot be used.
 */
export class Spool implements Disposable {
  /** What `open` found. */
  readonly recovery: SpoolRecovery
  readonly #files: SpoolFiles
  readonly #lock: FolderLock
  readonly #maxBytes: number
  readonly #damagedRows: DamagedRows
  readonly #setAside: string[]
  /** Absent while a damaged database could not be salvaged yet, because the disk is full for example. */
  #database: SpoolDatabase | undefined
  #nextSequence: number
  #alerts = 0
  #bytes = 0
  #damaged: number
  #closed = false

  /**
   * Opens the spool in a folder and recovers what is there. Reads all of it once, in bounded memory.
   * @throws TripwireStorageError SPOOL_IN_USE when another process or another `Spool` has the folder; SPOOL_FULL when the
   * disk is too full to open it; SPOOL_FAILED when the folder cannot be created, read or written.
   * @throws InvalidInputError
   */
  static open(options: SpoolOptions): Spool {
    const folder = parseText('folder', options.folder, LONGEST_FOLDER)
    const maxBytes = parseInteger(
      'maxBytes',
      options.maxBytes ?? DEFAULT_MAX_BYTES,
      1,
      Number.MAX_SAFE_INTEGER,
    )
    let lock: FolderLock | undefined
    try {
      const files = new SpoolFiles(folder)
      lock = takeLock(files.folder)
      return new Spool(files, lock, maxBytes)
    } catch (error) {
      lock?.release()
      throw asSpoolError(error, folder)
    }
  }

  private constructor(files: SpoolFiles, lock: FolderLock, maxBytes: number) {
    this.#files = files
    this.#lock = lock
    this.#maxBytes = maxBytes
    this.#damagedRows = new DamagedRows(files)
    const { database, damaged, setAside } = recoverDatabase(files, this.#damagedRows)
    this.#database = database
    this.#damaged = damaged
    this.#setAside = [...setAside]
    this.#nextSequence = database.lastSequence() + 1
    this.#measure(database)
    this.recovery = { alerts: this.#alerts, damaged, setAside: this.setAside }
  }

  /**
   * Takes alerts. They are on the disk, and survive the loss of the process and of power, when this returns.
   * All of them are taken or, when it throws, none.
   * @throws TripwireStorageError SPOOL_FULL when they do not fit into `maxBytes`, or the disk is full.
   * @throws InvalidInputError when an id or a moment has not its canonical form.
   */
  append(alerts: readonly SpooledAlert[]): void {
    this.#requireOpen()
    if (alerts.length === 0) return
    const bytes = this.#run(this.#repaired(), database => this.#insert(database, alerts))
    this.#nextSequence += alerts.length
    this.#alerts += alerts.length
    this.#bytes += bytes
  }

  /**
   * Reads the oldest alerts, in the order in which they were appended, and leaves them where they are.
   * @param maxAlerts how many at most, at least 1.
   * @param maxBytes how many bytes of alerts at most, at least 1. One alert is read even when it is larger.
   */
  readOldest(maxAlerts: number, maxBytes: number): { readonly entries: readonly SpoolEntry[] } {
    parseInteger('maxAlerts', maxAlerts, 1, Number.MAX_SAFE_INTEGER)
    parseInteger('maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER)
    this.#requireOpen()
    let after = 0
    for (;;) {
      const read = this.#run(this.#repaired(), database => readEntries(database, after, maxAlerts, maxBytes))
      this.#setDamagedRowsAside(read.damaged)
      if (read.entries.length > 0 || read.damaged.length < DAMAGED_ROWS_AT_ONCE)
        return { entries: read.entries }
      after = read.damaged.at(-1)?.sequence ?? after
    }
  }

  /**
   * Removes alerts that are stored elsewhere now. Durable when it returns. Numbers that are not there are passed over.
   * @throws TripwireStorageError SPOOL_FULL when the disk is so full that not even this can be written; nothing is removed
   * then. It takes up to about 2 MiB.
   */
  remove(sequences: Iterable<number>): void {
    this.#requireOpen()
    const ranges = toRanges([...sequences])
    if (ranges.length === 0) return
    const removed = this.#run(this.#repaired(), database =>
      database.transaction(() => ranges.map(({ first, last }) => database.delete(first, last))),
    )
    for (const { alerts, bytes } of removed) {
      this.#alerts -= alerts
      this.#bytes -= bytes
    }
    if (this.#alerts === 0) this.#shrink()
  }

  get size(): SpoolSize {
    return { alerts: this.#alerts, bytes: this.#bytes, damaged: this.#damaged }
  }

  /** Names of the files in the folder that hold what was damaged, found at the opening and since. */
  get setAside(): readonly string[] {
    const rows = this.#damagedRows.fileName
    return rows === undefined ? [...this.#setAside] : [...this.#setAside, rows]
  }

  /** Closes the files and gives the folder free. Alerts in it stay for the next `open`. Calling it again does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      this.#database?.close()
    } finally {
      this.#lock.release()
    }
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Does the work; when it meets a damaged file or a full disk, helps once and does it again. */
  #run<T>(database: SpoolDatabase, work: (database: SpoolDatabase) => T): T {
    try {
      return work(database)
    } catch (error) {
      try {
        return work(this.#recoverFrom(error, database))
      } catch (again) {
        throw asSpoolError(again, this.#files.folder)
      }
    }
  }

  #recoverFrom(error: unknown, database: SpoolDatabase): SpoolDatabase {
    if (isDamage(error)) {
      database.close()
      this.#database = undefined
      return this.#repaired()
    }
    if (!isDiskFull(error)) throw error
    // Until the log is written back, its pages take space twice.
    database.checkpoint()
    return database
  }

  /** The database; a damaged one is salvaged first. */
  #repaired(): SpoolDatabase {
    if (this.#database !== undefined) return this.#database
    try {
      const { damaged, setAside } = salvage(this.#files, { alerts: this.#alerts })
      const database = SpoolDatabase.open(this.#files.database)
      this.#damaged += damaged
      this.#setAside.push(...setAside)
      this.#measure(database)
      this.#nextSequence = Math.max(this.#nextSequence, database.lastSequence() + 1)
      this.#database = database
      return database
    } catch (error) {
      throw asSpoolError(error, this.#files.folder)
    }
  }

  /** @returns the bytes of the alerts. */
  #insert(database: SpoolDatabase, alerts: readonly SpooledAlert[]): number {
    const first = this.#nextSequence
    const records = alerts.map((alert, index) => encodeAlert(first + index, alert))
    const bytes = records.reduce((sum, record) => sum + record.length, 0)
    if (this.#bytes + bytes > this.#maxBytes) throw this.#limitReached(alerts.length, bytes)
    database.transaction(() => {
      for (const [index, record] of records.entries()) database.insert(first + index, record)
    })
    return bytes
  }

  #measure(database: SpoolDatabase): void {
    const { alerts, bytes } = database.measure(1, Number.MAX_SAFE_INTEGER)
    this.#alerts = alerts
    this.#bytes = bytes
  }

  #setDamagedRowsAside(rows: readonly StoredRecord[]): void {
    if (rows.length === 0) return
    const moved = this.#run(this.#repaired(), database => this.#damagedRows.setAside(database, rows))
    this.#alerts -= moved.alerts
    this.#bytes -= moved.bytes
    this.#damaged += moved.alerts
  }

  #shrink(): void {
    try {
      this.#database?.shrinkEmpty()
    } catch {
      // The alerts are removed, which is what was asked. The space is given back another time; damage shows at the next call.
    }
  }

  #requireOpen(): void {
    if (this.#closed)
      throw new TripwireStorageError('STORE_CLOSED', `the spool ${this.#files.folder} was closed`)
  }

  #limitReached(alerts: number, bytes: number): TripwireStorageError {
    const room = Math.max(0, this.#maxBytes - this.#bytes)
    const message = `${alerts} alerts of ${bytes} bytes do not fit into the spool: ${room} of ${this.#maxBytes} bytes are left`
    return new TripwireStorageError('SPOOL_FULL', message, {
      hint: 'let the spool drain into the database, or raise maxBytes',
    })
  }
}

function takeLock(folder: string): FolderLock {
  const lock = lockFolder(folder)
  if (lock !== null) return lock
  const pid = readLockHolder(folder)
  const holder = pid === undefined ? 'another process' : `process ${pid}`
  throw new TripwireStorageError('SPOOL_IN_USE', `${holder} has the spool ${folder}`, {
    hint: 'give each process a spool folder of its own, or stop that process',
  })
}
