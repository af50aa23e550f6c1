import { decodeAlert } from './alert-record.ts'
import { DAMAGED_ROWS_AT_ONCE } from './damaged-rows.ts'
import type { SpoolDatabase } from './spool-database.ts'
import type { SpooledAlert } from './spooled-alert.ts'
import type { StoredRecord } from './table-page.ts'

export interface SpoolEntry {
  /** Rises with every alert that is appended, and is never given twice. */
  readonly sequence: number
  readonly alert: SpooledAlert
}

export interface ReadEntries {
  readonly entries: readonly SpoolEntry[]
  readonly damaged: readonly StoredRecord[]
}

/** Reads until one of the bounds is met, or so many damaged rows were met that they are to be set aside first. */
export function readEntries(
  database: SpoolDatabase,
  after: number,
  maxAlerts: number,
  maxBytes: number,
): ReadEntries {
  const entries: SpoolEntry[] = []
  const damaged: StoredRecord[] = []
  let bytes = 0
  for (const row of database.scan(after)) {
    const alert = row.record && decodeAlert(row.sequence, row.record)
    if (row.record === undefined || alert === undefined) {
      damaged.push(row)
    } else {
      bytes += row.record.length
      if (bytes > maxBytes && entries.length > 0) break
      entries.push({ sequence: row.sequence, alert })
    }
    if (entries.length === maxAlerts || damaged.length === DAMAGED_ROWS_AT_ONCE) break
  }
  return { entries, damaged }
}
