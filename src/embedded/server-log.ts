import { closeSync, constants, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs'
import { type DataFolder, giveToAccount } from './data-folder.ts'

/** A log longer than this is set aside at the next start; one such log is kept. */
const LONGEST_LOG_BYTES = 10 * 1024 * 1024
const TAIL_BYTES = 4096
const TAIL_LINES = 10

/** The file that takes the output of initdb and postgres. */
export class ServerLog {
  readonly path: string
  readonly descriptor: number
  #mark = 0

  constructor(folder: DataFolder) {
    this.path = folder.logFile
    const size = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0
    if (size > LONGEST_LOG_BYTES) renameSync(this.path, `${this.path}.1`)
    // Links are not followed, because root may write here in the folder of another account.
    const noFollow = process.platform === 'win32' ? 0 : constants.O_NOFOLLOW
    this.descriptor = openSync(
      this.path,
      constants.O_CREAT | constants.O_RDWR | constants.O_APPEND | noFollow,
      0o600,
    )
    giveToAccount(folder, this.path)
    this.mark()
  }

  /** What was written before is no longer part of `lastLines`. */
  mark(): void {
    this.#mark = fstatSync(this.descriptor).size
  }

  /** The last lines written since the mark, for an error message. */
  lastLines(): string {
    const { size } = fstatSync(this.descriptor)
    const start = Math.max(this.#mark, size - TAIL_BYTES)
    const buffer = Buffer.alloc(Math.max(0, size - start))
    const length = readSync(this.descriptor, buffer, 0, buffer.length, start)
    return buffer.toString('utf8', 0, length).trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
  }

  /** The programs that write to it keep their own descriptors. */
  close(): void {
    closeSync(this.descriptor)
  }
}
