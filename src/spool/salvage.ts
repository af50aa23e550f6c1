/**
 * Saves the intact alerts of a damaged spool into a new database. It does not ask SQLite, whose tree of pages may be the
 * very thing that is damaged, but reads every page by itself and takes each row whose checksum fits.
 *
 * An alert that was removed shortly before may come back in this way, out of the log. That is harmless: `alertId` and `receivedAt`
 * let the database recognise it.
 */
import { isIntact } from './alert-record.ts'
import { PageImages } from './page-images.ts'
import { SpoolDatabase } from './spool-database.ts'
import type { SpoolFiles } from './spool-files.ts'
import { readLastSequence, readRecords } from './table-page.ts'

/** Bounds the memory; one page of rows may come on top. */
const BYTES_PER_TRANSACTION = 4 * 1024 * 1024
const MOST_REMEMBERED = 100_000

/** What is known of the damaged database from before. */
export interface BeforeDamage {
  readonly alerts?: number
  readonly lastSequence?: number
}

export interface Salvaged {
  /** Alerts that are known to be lost. */
  readonly damaged: number
  readonly setAside: readonly string[]
}

/** The damaged database must be closed. Until the new one is complete, nothing changes, so a crash may come at any moment. */
export function salvage(files: SpoolFiles, before: BeforeDamage): Salvaged {
  files.removeUnfinished()
  let damaged: number
  {
    using images = new PageImages(files.database, files.wal)
    using target = SpoolDatabase.create(files.building)
    const { broken, lastSequence } = copyIntact(images, target)
    const last = Math.max(lastSequence, before.lastSequence ?? 0)
    damaged = Math.max(broken, countMissing(target, { ...before, lastSequence: last }))
  }
  return { damaged, setAside: files.replaceDatabase() }
}

interface Copied {
  /** Rows whose number can be read but whose bytes are not intact in any version. */
  readonly broken: number
  /** The highest number that was ever given, as far as that can be read. */
  readonly lastSequence: number
}

function copyIntact(images: PageImages, target: SpoolDatabase): Copied {
  const broken = new Set<number>()
  let batch: [number, Buffer][] = []
  let bytes = 0
  let lastSequence = 0
  const store = () => {
    target.transaction(() => {
      for (const [sequence, record] of batch) target.insertAbsent(sequence, record)
    })
    batch = []
    bytes = 0
  }
  for (const page of images.all()) {
    lastSequence = Math.max(lastSequence, readLastSequence(page) ?? 0)
    for (const { sequence, record } of readRecords(page, number => images.find(number))) {
      if (record !== undefined && isIntact(sequence, record)) {
        batch.push([sequence, record])
        bytes += record.length
      } else if (broken.size < MOST_REMEMBERED) {
        broken.add(sequence)
      }
      if (bytes >= BYTES_PER_TRANSACTION) store()
    }
  }
  store()
  const lost = [...broken].filter(sequence => target.measure(sequence, sequence).alerts === 0)
  return { broken: lost.length, lastSequence }
}

/** Numbers are given without gaps and removed from the front, so those that are missing in between were lost. */
function countMissing(target: SpoolDatabase, { alerts, lastSequence = 0 }: BeforeDamage): number {
  const found = target.measure(1, Number.MAX_SAFE_INTEGER).alerts
  if (alerts !== undefined) return Math.max(0, alerts - found)
  const [first] = target.scan(0)
  if (first === undefined) return 0
  return Math.max(lastSequence, target.lastSequence()) - first.sequence + 1 - found
}
