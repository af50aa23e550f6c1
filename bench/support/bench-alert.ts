import { randomBytes, randomInt } from 'node:crypto'
import { RawJson, type SeverityLevel, TRIPWIRE_TYPES, type TripwireType } from '../../src/index.ts'

export const HOST_COUNT = 50
/** Enough different details that the server cannot gain from seeing the same bytes again. */
const DETAIL_COUNT = 256
const WARN_PERCENT = 9
const CRITICAL_PERCENT = 1
/** The ids of so many rows share a millisecond when they are ordered by time: about what one server ingests. */
const ROWS_PER_MILLISECOND = 100

/** A `NewAlert` whose every field is given, so that all that write it, ours and the peers, write the same. */
export interface BenchAlert {
  readonly alertId: string
  readonly hostId: string
  readonly timestamp: Date
  readonly tripwireType: TripwireType
  readonly ruleName: string
  readonly eventDetail: RawJson
  readonly severity: SeverityLevel
}

export type IdKind = 'random' | 'time-ordered'

const DETAILS = Array.from({ length: DETAIL_COUNT }, (_, index) => makeDetail(index))
const RULE_NAMES: Readonly<Record<TripwireType, string>> = {
  FILE: 'watched-file-changed',
  NETWORK: 'unexpected-outbound-connection',
  PROCESS: 'shell-from-web-server',
}

export function makeAlerts(
  hostIds: readonly string[],
  count: number,
  ids: IdKind = 'random',
): readonly BenchAlert[] {
  const startedAt = Date.now()
  return Array.from({ length: count }, (_, index) => {
    const tripwireType = TRIPWIRE_TYPES[index % TRIPWIRE_TYPES.length] ?? 'FILE'
    return {
      alertId: ids === 'random' ? randomId() : timeOrderedId(startedAt + index / ROWS_PER_MILLISECOND),
      hostId: hostIds[randomInt(hostIds.length)] ?? '',
      timestamp: new Date(),
      tripwireType,
      ruleName: RULE_NAMES[tripwireType],
      eventDetail: DETAILS[index % DETAILS.length] ?? makeDetail(index),
      severity: chooseSeverity(),
    }
  })
}

function chooseSeverity(): SeverityLevel {
  const drawn = randomInt(100)
  if (drawn < CRITICAL_PERCENT) return 'CRITICAL'
  return drawn < CRITICAL_PERCENT + WARN_PERCENT ? 'WARN' : 'INFO'
}

function randomId(): string {
  const bytes = randomBytes(16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6)
  return formatId(bytes)
}

/** RFC 9562, version 7: the milliseconds first, then random bits. */
function timeOrderedId(milliseconds: number): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Math.floor(milliseconds), 0, 6)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6)
  return formatId(bytes)
}

/**
 * The text is made from bytes, because that makes it flat, as JSON.parse does. Joined pieces would be flattened by whoever
 * reads them first, inside the measured window.
 */
function formatId(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return Buffer.from(parts.join('-'), 'latin1').toString('latin1')
}

function makeDetail(index: number): RawJson {
  return RawJson.from({
    path: `/etc/cron.d/job-${index}`,
    operation: 'write',
    uid: 1000 + index,
    process: { pid: 4242 + index, name: 'vim', args: ['-n', '--noplugin', `/etc/cron.d/job-${index}`] },
    hash: randomBytes(32).toString('hex'),
    previous: { size: 1024 + index, mode: '0644', modified: '2026-01-31T23:59:59.999Z' },
  })
}
