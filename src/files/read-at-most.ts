import type { FileHandle } from 'node:fs/promises'

const CHUNK_BYTES = 65_536

/**
 * Everything that a file holds, or `undefined` when that is more than `maxBytes`. No size is believed: a pipe and a device have
 * none, and a file may grow.
 */
export async function readAtMost(handle: FileHandle, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  for (let bytes = 0; bytes <= maxBytes; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(Math.min(CHUNK_BYTES, maxBytes + 1 - bytes)))
    if (bytesRead === 0) return Buffer.concat(chunks)
    chunks.push(buffer.subarray(0, bytesRead))
    bytes += bytesRead
  }
  return undefined
}
