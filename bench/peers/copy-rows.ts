import type { BenchAlert } from '../support/bench-alert.ts'

/** PostgreSQL manual, COPY, "Binary Format": signature, flags, length of the extension. */
export const COPY_HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
export const COPY_TRAILER = Buffer.from([0xff, 0xff])

const COLUMN_COUNT = 7
const JSONB_VERSION = 1
/** Column count, seven lengths, two UUIDs, a timestamp, two enum labels, the version of jsonb; rounded up. */
const FIXED_ROW_BYTES = 128
/** A UTF-16 unit becomes at most three bytes of UTF-8. */
const BYTES_PER_UNIT = 3
const UNIX_MS_OF_2000 = 946_684_800_000

/**
 * Rows in the binary format of COPY, without header and trailer.
 * Not the encoder of the engine: the ceiling must not depend on what is measured against it.
 */
export function encodeCopyRows(alerts: readonly BenchAlert[]): Buffer {
  const mostBytes = alerts.reduce(
    (sum, alert) =>
      sum + FIXED_ROW_BYTES + (alert.ruleName.length + alert.eventDetail.text.length) * BYTES_PER_UNIT,
    0,
  )
  const target = Buffer.allocUnsafe(mostBytes)
  const end = alerts.reduce((position, alert) => writeRow(target, position, alert), 0)
  return target.subarray(0, end)
}

function writeRow(target: Buffer, start: number, alert: BenchAlert): number {
  let position = target.writeInt16BE(COLUMN_COUNT, start)
  position = writeUuid(target, position, alert.alertId)
  position = writeUuid(target, position, alert.hostId)
  position = target.writeInt32BE(8, position)
  const micros = (alert.timestamp.getTime() - UNIX_MS_OF_2000) * 1000
  position = target.writeInt32BE(Math.floor(micros / 2 ** 32), position)
  position = target.writeUInt32BE(micros % 2 ** 32, position)
  position = writeText(target, position, alert.tripwireType)
  position = writeText(target, position, alert.ruleName)
  const detailLength = target.write(alert.eventDetail.text, position + 5)
  position = target.writeInt32BE(detailLength + 1, position)
  position = target.writeUInt8(JSONB_VERSION, position) + detailLength
  return writeText(target, position, alert.severity)
}

function writeUuid(target: Buffer, start: number, uuid: string): number {
  const position = target.writeInt32BE(16, start)
  return position + target.write(uuid.replaceAll('-', ''), position, 'hex')
}

function writeText(target: Buffer, start: number, text: string): number {
  const length = target.write(text, start + 4)
  return target.writeInt32BE(length, start) + length
}
