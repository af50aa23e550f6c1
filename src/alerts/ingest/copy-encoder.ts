import type { AcceptedAlert } from '../../model/accepted-alert.ts'

/** The columns in the order in which `encodeCopy` writes them. */
const COLUMNS = 'alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity'

/** The server's time for every row. */
export const COPY_ALERTS = `COPY alerts (${COLUMNS}) FROM STDIN (FORMAT binary)`
/** Rows that bring their own `received_at`. */
export const COPY_ALERTS_WITH_RECEIVED_AT = `COPY alerts (${COLUMNS}, received_at) FROM STDIN (FORMAT binary)`

/** PostgreSQL manual, COPY, "Binary Format": signature, flags, length of the extension. */
const HEADER = Uint8Array.of(
  0x50,
  0x47,
  0x43,
  0x4f,
  0x50,
  0x59,
  0x0a,
  0xff,
  0x0d,
  0x0a,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
)
const TRAILER_BYTES = 2
const JSONB_VERSION = 1
/** Field count, eight lengths, two UUIDs, two timestamps, two enum labels, the version of jsonb; rounded up. */
const FIXED_ROW_BYTES = 160
/** A UTF-16 unit becomes at most three bytes of UTF-8. */
const BYTES_PER_UNIT = 3
const INITIAL_BYTES = 65_536

const UNIX_MS_OF_2000 = 946_684_800_000
const DASH = 0x2d

/** The value of each hexadecimal digit, by its character code. */
const HEX_VALUES = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16)
  return Number.isNaN(value) ? 0 : value
})

/**
 * Writes alerts in the binary format of COPY, into one buffer that is used again and again.
 * What `encode` returns is overwritten by its next call.
 */
export class CopyEncoder {
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES)
  #position = 0
  /** Alerts come in the order of time, so the second that was read last mostly serves again. */
  #lastSecond = 'none'
  #lastSecondMs = 0

  /** Whether `receivedAt` is written is one decision for all: either each alert has one, or none is used. */
  encode(alerts: Iterable<AcceptedAlert>, withReceivedAt: boolean): Uint8Array {
    this.#buffer.set(HEADER)
    this.#position = HEADER.length
    for (const alert of alerts) this.#writeRow(alert, withReceivedAt)
    this.#position = this.#buffer.writeInt16BE(-1, this.#position)
    return this.#buffer.subarray(0, this.#position)
  }

  #writeRow(alert: AcceptedAlert, withReceivedAt: boolean): void {
    const detail = alert.eventDetail?.text
    this.#reserve(FIXED_ROW_BYTES + (alert.ruleName.length + (detail?.length ?? 0)) * BYTES_PER_UNIT)
    this.#position = this.#buffer.writeInt16BE(withReceivedAt ? 8 : 7, this.#position)
    this.#writeUuid(alert.alertId)
    this.#writeUuid(alert.hostId)
    this.#writeTimestamp(alert.timestamp)
    this.#writeText(alert.tripwireType)
    this.#writeText(alert.ruleName)
    if (detail === undefined) this.#position = this.#buffer.writeInt32BE(-1, this.#position)
    else this.#writeJsonb(detail)
    this.#writeText(alert.severity)
    if (withReceivedAt && alert.receivedAt !== null) this.#writeTimestamp(alert.receivedAt)
  }

  #writeUuid(uuid: string): void {
    const buffer = this.#buffer
    let position = buffer.writeInt32BE(16, this.#position)
    for (let index = 0; index < 36; index += 2) {
      if (uuid.charCodeAt(index) === DASH) index++
      const high = HEX_VALUES[uuid.charCodeAt(index)] ?? 0
      const low = HEX_VALUES[uuid.charCodeAt(index + 1)] ?? 0
      buffer[position++] = (high << 4) | low
    }
    this.#position = position
  }

  /** A `timestamptz` is the number of microseconds since 2000-01-01 00:00 UTC. */
  #writeTimestamp(text: string): void {
    const position = this.#buffer.writeInt32BE(8, this.#position)
    if (!text.startsWith(this.#lastSecond)) {
      this.#lastSecond = text.slice(0, 19)
      this.#lastSecondMs = Date.parse(`${this.#lastSecond}Z`) - UNIX_MS_OF_2000
    }
    const fraction = Number(text.slice(20, 26))
    const micros = this.#lastSecondMs * 1000 + fraction
    if (Number.isSafeInteger(micros)) {
      this.#buffer.writeInt32BE(Math.floor(micros / 2 ** 32), position)
      this.#buffer.writeUInt32BE(micros - Math.floor(micros / 2 ** 32) * 2 ** 32, position + 4)
    } else {
      this.#buffer.writeBigInt64BE(BigInt(this.#lastSecondMs) * 1000n + BigInt(fraction), position)
    }
    this.#position = position + 8
  }

  #writeText(text: string): void {
    const length = this.#buffer.write(text, this.#position + 4)
    this.#buffer.writeInt32BE(length, this.#position)
    this.#position += 4 + length
  }

  #writeJsonb(text: string): void {
    const length = this.#buffer.write(text, this.#position + 5)
    this.#buffer.writeInt32BE(length + 1, this.#position)
    this.#buffer[this.#position + 4] = JSONB_VERSION
    this.#position += 5 + length
  }

  #reserve(bytes: number): void {
    const needed = this.#position + bytes + TRAILER_BYTES
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#position)
    this.#buffer = grown
  }
}
