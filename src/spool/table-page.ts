/**
 * Reads rows straight from the pages of SQLite's file, without the tree above them,
 * https://sqlite.org/fileformat2.html#b_tree_pages. A row of the spool is (sequence INTEGER PRIMARY KEY, record BLOB).
 */

/** The page size that the spool sets when it creates a database. */
export const PAGE_BYTES = 4096
const TABLE_LEAF = 0x0d
const PAGE_HEAD_BYTES = 8
const LARGEST_LOCAL = PAGE_BYTES - 35
const SMALLEST_LOCAL = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23
const OVERFLOW_BYTES = PAGE_BYTES - 4

export interface StoredRecord {
  readonly sequence: number
  /** Absent when it does not hang together. Present does not mean intact: the checksum decides. */
  readonly record: Buffer | undefined
}

/** @param readPage the present bytes of another page, for what does not fit on this one. */
export function* readRecords(
  page: Buffer,
  readPage: (pageNumber: number) => Buffer | undefined,
): Generator<StoredRecord> {
  if (page[0] !== TABLE_LEAF) return
  const cells = Math.min(page.readUInt16BE(3), Math.floor((PAGE_BYTES - PAGE_HEAD_BYTES) / 2))
  for (let index = 0; index < cells; index += 1) {
    const found = readCell(page, page.readUInt16BE(PAGE_HEAD_BYTES + index * 2), readPage)
    if (found !== undefined) yield found
  }
}

/** The bytes of SQLite's integers, by serial type. */
const INTEGER_BYTES: readonly (number | undefined)[] = [undefined, 1, 2, 3, 4, 6, 8]
const TABLE_NAME = 'alerts'

/** The highest number ever given, when this is the page of the table (name, seq) in which SQLite keeps it. */
export function readLastSequence(page: Buffer): number | undefined {
  if (page[0] !== TABLE_LEAF || page.readUInt16BE(3) !== 1) return undefined
  const size = readVarint(page, page.readUInt16BE(PAGE_HEAD_BYTES))
  const rowId = size && readVarint(page, size.next)
  if (!rowId) return undefined
  const [headerBytes, nameType, numberType = 0] = page.subarray(rowId.next, rowId.next + 3)
  const bytes = INTEGER_BYTES[numberType]
  const nameAt = rowId.next + 3
  const numberAt = nameAt + TABLE_NAME.length
  if (headerBytes !== 3 || nameType !== 13 + 2 * TABLE_NAME.length || bytes === undefined) return undefined
  if (numberAt + bytes > PAGE_BYTES || page.toString('latin1', nameAt, numberAt) !== TABLE_NAME)
    return undefined
  return bytes === 8 ? Number(page.readBigInt64BE(numberAt)) : page.readIntBE(numberAt, bytes)
}

function readCell(
  page: Buffer,
  offset: number,
  readPage: (pageNumber: number) => Buffer | undefined,
): StoredRecord | undefined {
  const size = readVarint(page, offset)
  const sequence = size && readVarint(page, size.next)
  if (!size || !sequence) return undefined
  const header = readRecordHeader(page, sequence.next)
  // Rows of SQLite's own tables have other columns.
  if (header === undefined || header.headerBytes + header.recordBytes !== size.value) return undefined
  const payload = readPayload(page, sequence.next, size.value, readPage)
  return { sequence: sequence.value, record: payload?.subarray(header.headerBytes) }
}

/** The header of (NULL, BLOB): the number of a row is not repeated in it. */
function readRecordHeader(page: Buffer, offset: number) {
  const size = readVarint(page, offset)
  const first = size && readVarint(page, size.next)
  const second = first && readVarint(page, first.next)
  if (!size || !first || !second) return undefined
  const isOurs = first.value === 0 && second.value >= 12 && second.value % 2 === 0
  if (!isOurs || second.next - offset !== size.value) return undefined
  return { headerBytes: size.value, recordBytes: (second.value - 12) / 2 }
}

function readPayload(
  page: Buffer,
  offset: number,
  size: number,
  readPage: (pageNumber: number) => Buffer | undefined,
): Buffer | undefined {
  const local = localBytes(size)
  if (offset + local + (local < size ? 4 : 0) > PAGE_BYTES) return undefined
  const parts = [Buffer.from(page.subarray(offset, offset + local))]
  let missing = size - local
  let next = missing > 0 ? page.readUInt32BE(offset + local) : 0
  // A damaged chain may run in a circle.
  const seen = new Set([0])
  while (missing > 0) {
    const overflow = seen.has(next) ? undefined : readPage(next)
    if (overflow === undefined) return undefined
    seen.add(next)
    const part = overflow.subarray(4, 4 + Math.min(missing, OVERFLOW_BYTES))
    parts.push(Buffer.from(part))
    missing -= part.length
    next = overflow.readUInt32BE(0)
  }
  return Buffer.concat(parts)
}

function localBytes(size: number): number {
  if (size <= LARGEST_LOCAL) return size
  const fitting = SMALLEST_LOCAL + ((size - SMALLEST_LOCAL) % OVERFLOW_BYTES)
  return fitting <= LARGEST_LOCAL ? fitting : SMALLEST_LOCAL
}

/** Numbers of up to 53 bits, which is all that the spool writes. */
function readVarint(bytes: Buffer, offset: number): { value: number; next: number } | undefined {
  let value = 0
  for (let index = offset; index < offset + 8; index += 1) {
    const byte = bytes[index]
    if (byte === undefined) return undefined
    value = value * 128 + (byte & 127)
    if (byte < 128) return Number.isSafeInteger(value) ? { value, next: index + 1 } : undefined
  }
  return undefined
}
