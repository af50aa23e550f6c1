/**
 * Reads SQLite's write-ahead log, https://sqlite.org/fileformat2.html#walformat.
 *
 * SQLite takes the first frame that does not fit for the end of the log and drops the rest without a word. After a crash that
 * is right; when bytes were overwritten, acknowledged alerts are behind it.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { PAGE_BYTES } from './table-page.ts'

const HEADER_BYTES = 32
const FRAME_HEAD_BYTES = 24
const FRAME_BYTES = FRAME_HEAD_BYTES + PAGE_BYTES
/** The last bit says in which byte order the checksums are. */
const MAGIC = 0x377f0682

export interface WalFrame {
  readonly pageNumber: number
  /** Where the page begins in the log, in bytes. */
  readonly offset: number
}

export interface WalContent {
  /** Whether more was lost than the end of a transaction that was never acknowledged. */
  readonly damaged: boolean
  /** Every frame that belongs to the present log, or may belong to it, whether its checksum fits or not. */
  readonly frames: readonly WalFrame[]
  /** How many frames, from the first, belong to transactions that are complete, and how many pages the database has by them. */
  readonly committed: { readonly frames: number; readonly pages: number } | undefined
}

/** An absent log is an empty one. */
export function readWal(path: string): WalContent {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return NOTHING
    throw error
  }
  try {
    return readFrames(descriptor, fstatSync(descriptor).size)
  } finally {
    closeSync(descriptor)
  }
}

const NOTHING: WalContent = { damaged: false, frames: [], committed: undefined }

function readFrames(descriptor: number, size: number): WalContent {
  const frameCount = Math.floor((size - HEADER_BYTES) / FRAME_BYTES)
  if (frameCount < 1) return NOTHING
  const header = Buffer.alloc(HEADER_BYTES)
  const frame = Buffer.alloc(FRAME_BYTES)
  const headerIsRead = readFully(descriptor, header, 0)
  const sum = new WalChecksum((header.readUInt32BE(0) & 1) === 1)
  sum.add(header.subarray(0, 24))
  const headerFits = headerIsRead && (header.readUInt32BE(0) & ~1) >>> 0 === MAGIC && sum.equals(header, 24)
  const frames: WalFrame[] = []
  let chainHolds = headerFits
  let damaged = !headerFits
  let committed: WalContent['committed']
  for (let index = 0; index < frameCount; index += 1) {
    const start = HEADER_BYTES + index * FRAME_BYTES
    const isRead = readFully(descriptor, frame, start)
    // Frames of an earlier log, which was written back already, have another salt.
    if (isRead && headerFits && frame.compare(header, 16, 24, 8, 16) !== 0) {
      chainHolds = false
      continue
    }
    if (chainHolds) {
      sum.add(frame.subarray(0, 8))
      sum.add(frame.subarray(FRAME_HEAD_BYTES))
      chainHolds = isRead && sum.equals(frame, 16)
    }
    // Other than 0 in a frame that ends a transaction.
    const pages = frame.readUInt32BE(4)
    // Such a frame that cannot be reached: its transaction may have been acknowledged.
    if (!chainHolds && (!isRead || pages !== 0)) damaged = true
    if (isRead) frames.push({ pageNumber: frame.readUInt32BE(0), offset: start + FRAME_HEAD_BYTES })
    if (chainHolds && pages !== 0) committed = { frames: frames.length, pages }
  }
  return { damaged, frames, committed }
}

/** Whether all bytes could be read; a sector that the disk cannot read is damage, not a failure. */
export function readFully(descriptor: number, into: Buffer, position: number): boolean {
  try {
    return readSync(descriptor, into, 0, into.length, position) === into.length
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EIO') return false
    throw error
  }
}

class WalChecksum {
  readonly #bigEndian: boolean
  #first = 0
  #second = 0

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian
  }

  add(bytes: Buffer): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const littleEndian = !this.#bigEndian
    let first = this.#first
    let second = this.#second
    for (let offset = 0; offset < bytes.length; offset += 8) {
      first = (first + view.getUint32(offset, littleEndian) + second) | 0
      second = (second + view.getUint32(offset + 4, littleEndian) + first) | 0
    }
    this.#first = first
    this.#second = second
  }

  equals(bytes: Buffer, offset: number): boolean {
    return bytes.readInt32BE(offset) === this.#first && bytes.readInt32BE(offset + 4) === this.#second
  }
}
