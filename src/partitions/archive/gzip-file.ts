import { createHash } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { onDisk } from './archive-errors.ts'
import { OWNER_ONLY } from './archive-folder.ts'

/**
 * How much is compressed at once, off the main thread. It keeps a core from those who insert for 4 ms; 1 MiB would be 16 ms, and
 * 2 % smaller.
 */
const MEMBER_BYTES = 262_144
const CHUNK_BYTES = 131_072

const compress = promisify(gzip)

/** A new gzip file of several members one after the other, which RFC 1952 takes for one file. */
export class GzipFile {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #hash = createHash('sha256')
  #bytes = 0
  #held: Uint8Array[] = []
  #heldBytes = 0

  private constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  /**
   * @param path a name that nobody else uses.
   * @throws TripwireStorageError ARCHIVE_FAILED, also when there is such a file.
   */
  static async create(path: string): Promise<GzipFile> {
    return onDisk(path, async () => new GzipFile(path, await open(path, 'wx', OWNER_ONLY)))
  }

  /** @throws TripwireStorageError ARCHIVE_FAILED */
  async write(content: Uint8Array): Promise<void> {
    this.#held.push(content)
    this.#heldBytes += content.length
    if (this.#heldBytes >= MEMBER_BYTES) await this.#writeMember()
  }

  /**
   * Makes the file durable.
   * @throws TripwireStorageError ARCHIVE_FAILED
   */
  async finish(): Promise<{ readonly fileBytes: number; readonly fileSha256: string }> {
    // An empty file would not be gzip.
    if (this.#heldBytes > 0 || this.#bytes === 0) await this.#writeMember()
    await onDisk(this.#path, () => this.#handle.sync())
    await onDisk(this.#path, () => this.#handle.close())
    return { fileBytes: this.#bytes, fileSha256: this.#hash.digest('hex') }
  }

  /** Takes its name away; what was linked to it stays. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined)
    await rm(this.#path, { force: true }).catch(() => undefined)
  }

  async #writeMember(): Promise<void> {
    const member = await compress(Buffer.concat(this.#held), { chunkSize: CHUNK_BYTES })
    this.#held = []
    this.#heldBytes = 0
    this.#hash.update(member)
    this.#bytes += member.length
    await onDisk(this.#path, () => this.#handle.appendFile(member))
  }
}
