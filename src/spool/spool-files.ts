/** The files of a spool folder, and how one database takes the place of another without a moment of loss. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** Where a new database is built, and where it waits, complete, to take its place. */
const DATABASE = 'spool.db'
const BUILDING = 'spool.building'
const COMPLETE = 'spool.complete'
const WAL_SUFFIX = '-wal'

export class SpoolFiles {
  readonly folder: string

  /** Creates the folder, for its owner only, when it does not exist. */
  constructor(folder: string) {
    this.folder = resolve(folder)
    const firstCreated = mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    if (firstCreated === undefined) return
    const existing = dirname(firstCreated)
    for (let path = this.folder; path !== existing; path = dirname(path)) syncFolder(dirname(path))
  }

  get database(): string {
    return join(this.folder, DATABASE)
  }

  /** SQLite's write-ahead log. */
  get wal(): string {
    return this.database + WAL_SUFFIX
  }

  get building(): string {
    return join(this.folder, BUILDING)
  }

  /** A new database that waits to take the place of the present one. */
  get complete(): string {
    return join(this.folder, COMPLETE)
  }

  get exist(): boolean {
    return existsSync(this.database) || existsSync(this.wal)
  }

  removeUnfinished(): void {
    for (const suffix of ['', '-journal', WAL_SUFFIX]) rmSync(this.building + suffix, { force: true })
  }

  /**
   * Puts the database that was built and closed into its place. What is there is renamed.
   * @returns the names of the renamed files.
   */
  replaceDatabase(): readonly string[] {
    // From this rename on the new database counts; a crash before it leaves the old files as they were.
    renameSync(this.building, this.complete)
    syncFolder(this.folder)
    return this.finishReplacing()
  }

  /** Ends a replacement that a crash interrupted. @returns the names of the files that were renamed now. */
  finishReplacing(): readonly string[] {
    const { complete } = this
    if (!existsSync(complete)) return []
    const setAside: string[] = []
    const name = this.newDamagedName()
    for (const [path, suffix] of [
      [this.wal, WAL_SUFFIX],
      [this.database, ''],
    ] as const) {
      if (!existsSync(path)) continue
      renameSync(path, join(this.folder, name + suffix))
      setAside.push(name + suffix)
    }
    rmSync(`${this.database}-shm`, { force: true })
    // The old log must be gone for good before the new database stands beside its name.
    syncFolder(this.folder)
    renameSync(complete, this.database)
    syncFolder(this.folder)
    return setAside
  }

  /** A name, not yet used, for what is set aside now: `spool.damaged-20251124T101500123Z`. */
  newDamagedName(): string {
    const base = `spool.damaged-${new Date().toISOString().replace(/[-:.]/g, '')}`
    let name = base
    for (let number = 2; this.isUsed(name); number += 1) name = `${base}-${number}`
    return name
  }

  private isUsed(name: string): boolean {
    return ['', WAL_SUFFIX, '.jsonl'].some(suffix => existsSync(join(this.folder, name + suffix)))
  }
}

/** Makes the names in a folder durable. Windows has no such call and does not need it. */
function syncFolder(folder: string): void {
  let descriptor: number | undefined
  try {
    descriptor = openSync(folder, 'r')
    fsyncSync(descriptor)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'EPERM' && code !== 'EISDIR' && code !== 'EINVAL' && code !== 'EACCES') throw error
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
