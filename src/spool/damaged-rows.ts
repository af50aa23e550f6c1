import { appendFileSync, closeSync, fsyncSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Amount, SpoolDatabase } from './spool-database.ts'
import { isDiskFull } from './spool-error.ts'
import type { SpoolFiles } from './spool-files.ts'
import type { StoredRecord } from './table-page.ts'

/** How many damaged rows are set aside at a time, so that the memory is bounded. */
export const DAMAGED_ROWS_AT_ONCE = 1000

/** Moves damaged rows into a file, as lines of JSON with the bytes in base64, for whoever wants to look into them. */
export class DamagedRows {
  readonly #files: SpoolFiles
  #name: string | undefined

  constructor(files: SpoolFiles) {
    this.#files = files
  }

  /** The name of the file, when there is one. */
  get fileName(): string | undefined {
    return this.#name
  }

  /**
   * Moves these rows out of the database. When the disk is full they stay, are passed over by whoever reads, and are moved
   * another time.
   * @returns what was moved.
   */
  setAside(database: SpoolDatabase, rows: readonly StoredRecord[]): Amount {
    const moved = { alerts: 0, bytes: 0 }
    if (rows.length === 0) return moved
    try {
      this.#write(rows)
      database.transaction(() => {
        for (const { sequence } of rows) {
          const { alerts, bytes } = database.delete(sequence, sequence)
          moved.alerts += alerts
          moved.bytes += bytes
        }
      })
    } catch (error) {
      if (!isDiskFull(error)) throw error
      return { alerts: 0, bytes: 0 }
    }
    return moved
  }

  #write(rows: readonly StoredRecord[]): void {
    const name = this.#name ?? `${this.#files.newDamagedName()}.jsonl`
    const descriptor = openSync(join(this.#files.folder, name), 'a', 0o600)
    try {
      this.#name = name
      for (const { sequence, record } of rows) {
        appendFileSync(
          descriptor,
          `${JSON.stringify({ sequence, record: record?.toString('base64') ?? null })}\n`,
        )
      }
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  }
}
