/** The statements of the spool, and how SQLite is set up for them. Errors come as SQLite gives them. */
import { chmodSync } from 'node:fs'
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { PAGE_BYTES, type StoredRecord } from './table-page.ts'

/** Above this the log is cut again after it was written back. */
const LOG_SIZE_LIMIT = 4 * 1024 * 1024
/**
 * In pages. The log is written back at this size, for which the file needs as much space again: on a full disk that is what has to
 * be freed before anything can be removed.
 */
const LOG_PAGES = 256
/** The file may keep this much when the spool is empty: one MiB is not worth the shrinking. */
const PAGES_KEPT_WHEN_EMPTY = 256

/** AUTOINCREMENT: a number is not given a second time, also when all rows were removed and the process restarted. */
const SCHEMA = `
  CREATE TABLE alerts (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    record BLOB NOT NULL
  ) STRICT`

const INSERT = `
  INSERT INTO alerts (sequence, record)
  VALUES (?, ?)`

const INSERT_ABSENT = `${INSERT}
  ON CONFLICT DO NOTHING`

const SCAN = `
  SELECT sequence, record
  FROM alerts
  WHERE sequence > ?
  ORDER BY sequence`

const MEASURE = `
  SELECT COUNT(*), COALESCE(SUM(LENGTH(record)), 0)
  FROM alerts
  WHERE sequence BETWEEN ? AND ?`

const DELETE = `
  DELETE FROM alerts
  WHERE sequence BETWEEN ? AND ?`

const LAST_SEQUENCE = `
  SELECT COALESCE(MAX(seq), 0)
  FROM sqlite_sequence
  WHERE name = 'alerts'`

/** Row counts and the bytes of the rows. */
export interface Amount {
  readonly alerts: number
  readonly bytes: number
}

export class SpoolDatabase implements Disposable {
  readonly #database: DatabaseSync
  readonly #insert: StatementSync
  readonly #insertAbsent: StatementSync
  readonly #scan: StatementSync
  readonly #measure: StatementSync
  readonly #delete: StatementSync

  private constructor(database: DatabaseSync) {
    this.#database = database
    this.#insert = database.prepare(INSERT)
    this.#insertAbsent = database.prepare(INSERT_ABSENT)
    this.#scan = prepareArrays(database, SCAN)
    this.#measure = prepareArrays(database, MEASURE)
    this.#delete = database.prepare(DELETE)
  }

  /** Makes a new database, with a rollback journal, so that all of it is in the one file once it is closed. */
  static create(path: string): SpoolDatabase {
    return openWith(path, database => {
      // A folder that was there before may be open to others; what alerts tell is not for them.
      chmodSync(path, 0o600)
      database.exec(
        `PRAGMA page_size = ${PAGE_BYTES}; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; ${SCHEMA}`,
      )
      return new SpoolDatabase(database)
    })
  }

  /** Opens an existing database for durable work. The folder's lock must be held. */
  static open(path: string): SpoolDatabase {
    return openWith(path, database => {
      // The exclusive mode needs no shared memory file. fullfsync: without it macOS answers before the disk has it.
      // secure_delete: bytes of removed alerts must not be taken for alerts when a damaged file is salvaged.
      database.exec(`
        PRAGMA locking_mode = EXCLUSIVE;
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA fullfsync = ON;
        PRAGMA checkpoint_fullfsync = ON;
        PRAGMA secure_delete = ON;
        PRAGMA wal_autocheckpoint = ${LOG_PAGES};
        PRAGMA temp_store = MEMORY;
        PRAGMA journal_size_limit = ${LOG_SIZE_LIMIT}`)
      return new SpoolDatabase(database)
    })
  }

  /** Whether the tree of pages hangs together. Reads the whole file; says nothing about the bytes of the rows. */
  isSound(): boolean {
    return this.#pragma('quick_check(1)') === 'ok'
  }

  /** The highest number that was ever given, 0 when there was none. */
  lastSequence(): number {
    return Number(prepareArrays(this.#database, LAST_SEQUENCE).get()?.[0] ?? 0)
  }

  /** All or nothing. */
  transaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      // After some errors SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  insert(sequence: number, record: Buffer): void {
    this.#insert.run(sequence, record)
  }

  /** A number that is there already keeps its row. */
  insertAbsent(sequence: number, record: Buffer): void {
    this.#insertAbsent.run(sequence, record)
  }

  /** One row at a time, in order. No other call may be made before the iteration ends. */
  *scan(afterSequence: number): Generator<StoredRecord> {
    for (const row of this.#scan.iterate(afterSequence)) {
      const [sequence, record] = columnsOf(row)
      yield {
        sequence: Number(sequence),
        record: record instanceof Uint8Array ? asBuffer(record) : undefined,
      }
    }
  }

  measure(first: number, last: number): Amount {
    const [alerts, bytes] = columnsOf(this.#measure.get(first, last))
    return { alerts: Number(alerts), bytes: Number(bytes) }
  }

  /** Deletes the rows from `first` to `last`, both included. @returns what was there. */
  delete(first: number, last: number): Amount {
    const amount = this.measure(first, last)
    if (amount.alerts > 0) this.#delete.run(first, last)
    return amount
  }

  /** Writes the log back into the file and gives its space free. */
  checkpoint(): void {
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  /** Gives the space of an empty database back to the file system: nothing has to be moved then. */
  shrinkEmpty(): void {
    if (Number(this.#pragma('page_count')) <= PAGES_KEPT_WHEN_EMPTY) return
    this.#database.exec('VACUUM')
    this.checkpoint()
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #pragma(pragma: string): SQLOutputValue | undefined {
    return columnsOf(prepareArrays(this.#database, `PRAGMA ${pragma}`).get())[0]
  }
}

function openWith(path: string, setUp: (database: DatabaseSync) => SpoolDatabase): SpoolDatabase {
  const database = new DatabaseSync(path)
  try {
    return setUp(database)
  } catch (error) {
    database.close()
    throw error
  }
}

function prepareArrays(database: DatabaseSync, sql: string): StatementSync {
  const statement = database.prepare(sql)
  statement.setReturnArrays(true)
  return statement
}

/** The types of Node know rows as objects only; `setReturnArrays` makes them arrays. */
function columnsOf(row: unknown): readonly SQLOutputValue[] {
  return Array.isArray(row) ? row : []
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
