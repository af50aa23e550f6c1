/**
 * The bytes of one alert in the spool:
 *
 * | offset | bytes | content |
 * |---|---|---|
 * | 0 | 4 | CRC-32 over the sequence number (8 bytes) and everything after this field |
 * | 4 | 1 | format: 1 |
 * | 5 | 1 | type, bits 0–2; severity, bits 3–5; whether there is a detail, bit 6 |
 * | 6 | 32 | alertId, hostId |
 * | 38 | 20 | timestamp, receivedAt: milliseconds since 1970 (double) and microseconds (0 to 999) |
 * | 58 | 2 | length of ruleName in UTF-8 |
 * | 60 | | ruleName, then the text of eventDetail |
 *
 * A CRC-32 finds every change within one span of 32 bits, and any other change but one in 2^32.
 */
import { crc32 } from 'node:zlib'
import { InvalidInputError } from '../errors.ts'
import type { SeverityLevel, TripwireType } from '../model/alert.ts'
import { RawJson } from '../model/raw-json.ts'
import type { SpooledAlert } from './spooled-alert.ts'

const FORMAT = 1
const HEAD_BYTES = 60
const LONGEST_RULE_NAME_BYTES = 65_535

/** The numbers of the format, which must not follow a change of the order in the model. */
const TYPE_CODES: Readonly<Record<TripwireType, number>> = { FILE: 1, NETWORK: 2, PROCESS: 3 }
const SEVERITY_CODES: Readonly<Record<SeverityLevel, number>> = { INFO: 1, WARN: 2, CRITICAL: 3 }
const TYPES: readonly (TripwireType | undefined)[] = [undefined, 'FILE', 'NETWORK', 'PROCESS']
const SEVERITIES: readonly (SeverityLevel | undefined)[] = [undefined, 'INFO', 'WARN', 'CRITICAL']

/**
 * @param sequence goes into the checksum, so that a record is not taken for another one's.
 * @throws InvalidInputError when an id or a moment has not its canonical form, which would be lost here.
 */
export function encodeAlert(sequence: number, alert: SpooledAlert): Buffer {
  const ruleNameBytes = Buffer.byteLength(alert.ruleName)
  if (ruleNameBytes > LONGEST_RULE_NAME_BYTES) {
    throw new InvalidInputError('ruleName', alert.ruleName, `at most ${LONGEST_RULE_NAME_BYTES} bytes`)
  }
  const detail = alert.eventDetail?.text
  const detailBytes = detail === undefined ? 0 : Buffer.byteLength(detail)
  const record = Buffer.allocUnsafe(HEAD_BYTES + ruleNameBytes + detailBytes)
  record.writeUInt8(FORMAT, 4)
  const hasDetail = detail === undefined ? 0 : 64
  record.writeUInt8(TYPE_CODES[alert.tripwireType] | (SEVERITY_CODES[alert.severity] << 3) | hasDetail, 5)
  writeUuid(record, 6, 'alertId', alert.alertId)
  writeUuid(record, 22, 'hostId', alert.hostId)
  writeMoment(record, 38, 'timestamp', alert.timestamp)
  writeMoment(record, 48, 'receivedAt', alert.receivedAt)
  record.writeUInt16BE(ruleNameBytes, 58)
  record.write(alert.ruleName, HEAD_BYTES, 'utf8')
  if (detail !== undefined) record.write(detail, HEAD_BYTES + ruleNameBytes, 'utf8')
  record.writeUInt32BE(checksum(sequence, record), 0)
  return record
}

/** Whether these bytes are what `encodeAlert` made for this sequence number. */
export function isIntact(sequence: number, record: Buffer): boolean {
  return record.length >= HEAD_BYTES && record.readUInt32BE(0) === checksum(sequence, record)
}

/** @returns `undefined` when the bytes were changed, or belong to another sequence number or format. */
export function decodeAlert(sequence: number, record: Buffer): SpooledAlert | undefined {
  if (!isIntact(sequence, record) || record.readUInt8(4) !== FORMAT) return undefined
  const flags = record.readUInt8(5)
  const tripwireType = TYPES[flags & 7]
  const severity = SEVERITIES[(flags >> 3) & 7]
  const detailAt = HEAD_BYTES + record.readUInt16BE(58)
  if (tripwireType === undefined || severity === undefined || detailAt > record.length) return undefined
  return {
    alertId: readUuid(record, 6),
    hostId: readUuid(record, 22),
    timestamp: readMoment(record, 38),
    tripwireType,
    ruleName: record.toString('utf8', HEAD_BYTES, detailAt),
    eventDetail: flags & 64 ? RawJson.fromDatabase(record.toString('utf8', detailAt)) : null,
    severity,
    receivedAt: readMoment(record, 48),
  }
}

const sequenceBytes = Buffer.alloc(8)

function checksum(sequence: number, record: Buffer): number {
  sequenceBytes.writeDoubleBE(sequence)
  return crc32(record.subarray(4), crc32(sequenceBytes))
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

function writeUuid(record: Buffer, offset: number, field: string, uuid: string): void {
  if (!UUID.test(uuid)) throw new InvalidInputError(field, uuid, 'a UUID in lower case')
  record.write(uuid.replaceAll('-', ''), offset, 'hex')
}

function readUuid(record: Buffer, offset: number): string {
  const hex = record.toString('hex', offset, offset + 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/

function writeMoment(record: Buffer, offset: number, field: string, moment: string): void {
  const ms = MOMENT.test(moment) ? Date.parse(moment) : Number.NaN
  if (Number.isNaN(ms)) throw new InvalidInputError(field, moment, 'RFC 3339 in UTC with microseconds')
  record.writeDoubleBE(ms, offset)
  record.writeUInt16BE(Number(moment.slice(23, 26)), offset + 8)
}

function readMoment(record: Buffer, offset: number): string {
  const milliseconds = new Date(record.readDoubleBE(offset)).toISOString().slice(0, -1)
  return `${milliseconds}${String(record.readUInt16BE(offset + 8)).padStart(3, '0')}Z`
}
