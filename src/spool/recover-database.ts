/** Opens the database of a spool whatever state it is in: new, clean, left by a killed process, or damaged. */
import { statSync } from 'node:fs'
import { isIntact } from './alert-record.ts'
import { DAMAGED_ROWS_AT_ONCE, type DamagedRows } from './damaged-rows.ts'
import { type BeforeDamage, type Salvaged, salvage } from './salvage.ts'
import { SpoolDatabase } from './spool-database.ts'
import { isDamage } from './spool-error.ts'
import type { SpoolFiles } from './spool-files.ts'
import type { StoredRecord } from './table-page.ts'
import { readWal } from './wal-frames.ts'

export interface RecoveredDatabase extends Salvaged {
  readonly database: SpoolDatabase
}

/** @throws the error of SQLite or of the file system when the folder cannot be used; never because of damage. */
export function recoverDatabase(files: SpoolFiles, damagedRows: DamagedRows): RecoveredDatabase {
  const setAside = [...files.finishReplacing()]
  let damaged = 0
  if (!files.exist) {
    files.removeUnfinished()
    SpoolDatabase.create(files.building).close()
    files.replaceDatabase()
  }
  let before: BeforeDamage = {}
  if (!looksDamaged(files)) {
    const checked = openChecked(files, damagedRows)
    if (checked.database !== undefined) return { ...checked, database: checked.database, setAside }
    before = checked.before
    damaged = checked.damaged
  }
  const salvaged = salvage(files, before)
  setAside.push(...salvaged.setAside)
  damaged += salvaged.damaged
  return { database: SpoolDatabase.open(files.database), damaged, setAside }
}

/** A database comes into its place complete, so an empty or absent file is a lost one. */
function looksDamaged(files: SpoolFiles): boolean {
  const database = statSync(files.database, { throwIfNoEntry: false })
  return database === undefined || database.size === 0 || readWal(files.wal).damaged
}

interface Checked {
  /** Absent when it is damaged. */
  readonly database: SpoolDatabase | undefined
  readonly before: BeforeDamage
  /** Rows that were damaged and are set aside now. */
  readonly damaged: number
}

function openChecked(files: SpoolFiles, damagedRows: DamagedRows): Checked {
  let database: SpoolDatabase | undefined
  let before: BeforeDamage = {}
  let damaged = 0
  try {
    database = SpoolDatabase.open(files.database)
    before = { lastSequence: database.lastSequence() }
    if (database.isSound()) {
      for (const rows of findDamagedRows(database)) damaged += damagedRows.setAside(database, rows).alerts
      return { database, before, damaged }
    }
  } catch (error) {
    if (!isDamage(error)) {
      database?.close()
      throw error
    }
  }
  database?.close()
  return { database: undefined, before, damaged }
}

/** In pieces, between which the database may be changed. */
function* findDamagedRows(database: SpoolDatabase): Generator<readonly StoredRecord[]> {
  let rows: StoredRecord[]
  let after = 0
  do {
    rows = []
    for (const row of database.scan(after)) {
      after = row.sequence
      if (row.record === undefined || !isIntact(row.sequence, row.record)) rows.push(row)
      if (rows.length === DAMAGED_ROWS_AT_ONCE) break
    }
    yield rows
  } while (rows.length === DAMAGED_ROWS_AT_ONCE)
}
