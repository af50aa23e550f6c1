import { InvalidInputError } from '../errors.ts'
import { SEVERITY_LEVELS, TRIPWIRE_TYPES } from '../model/alert.ts'
import { parseObject, parseOneOf, parseText, parseUuid } from '../model/input.ts'
import { RawJson } from '../model/raw-json.ts'
import { rawMember } from '../model/raw-member.ts'
import { parseTimestamp } from '../model/timestamp.ts'
import { derivedAlertId } from './derived-alert-id.ts'
import { parseJsonObject } from './json-line.ts'
import type { SensorAdapter, SensorAlert, SensorHost, SensorResult } from './sensor-adapter.ts'

const MEMBERS = [
  'alertId',
  'hostId',
  'hostname',
  'timestamp',
  'tripwireType',
  'ruleName',
  'eventDetail',
  'severity',
  'receivedAt',
] as const

const LONGEST_HOSTNAME = 255
const LONGEST_RULE_NAME = 1_000

/**
 * This library's own format: the members of a `NewAlert`, one JSON object a line. It names its host by `hostId` or by
 * `hostname`, one of the two.
 *
 * - `alertId` absent: the id is derived from the text of the line.
 * - `eventDetail` absent is SQL NULL, `null` is JSON null. Its text is kept as it stands, so no digit is lost.
 *
 * ```json
 * {"hostname":"web-1","timestamp":"2026-03-01T10:00:00Z","tripwireType":"FILE","ruleName":"etc","severity":"WARN"}
 * ```
 */
export const alertSensor: SensorAdapter = { format: 'alert', readLine }

function readLine(line: string): SensorResult {
  const text = line.trim()
  const parsed = parseJsonObject('line', text)
  const members = parseObject('alert', Object.fromEntries(parsed), MEMBERS)
  const detail = rawMember(text, 'eventDetail')
  const identity = members.alertId === undefined ? 'content' : 'own'
  const alert: SensorAlert = {
    alertId:
      identity === 'content' ? derivedAlertId('alert-line', [text]) : parseUuid('alertId', members.alertId),
    timestamp: parseTimestamp('timestamp', members.timestamp),
    tripwireType: parseOneOf('tripwireType', members.tripwireType, TRIPWIRE_TYPES),
    ruleName: parseText('ruleName', members.ruleName, LONGEST_RULE_NAME),
    severity: parseOneOf('severity', members.severity, SEVERITY_LEVELS),
    ...(detail === undefined ? {} : { eventDetail: RawJson.fromText(detail) }),
    ...(members.receivedAt === undefined
      ? {}
      : { receivedAt: parseTimestamp('receivedAt', members.receivedAt) }),
  }
  return { kind: 'alert', identity, host: readHost(members.hostId, members.hostname), alert }
}

function readHost(hostId: unknown, hostname: unknown): SensorHost {
  if (hostId !== undefined && hostname !== undefined) {
    throw new InvalidInputError('hostname', hostname, 'either hostId or hostname, not both')
  }
  if (hostId !== undefined) return { hostId: parseUuid('hostId', hostId) }
  if (hostname === undefined) throw new InvalidInputError('hostId', hostId, 'a hostId or a hostname')
  return { hostname: parseText('hostname', hostname, LONGEST_HOSTNAME) }
}
