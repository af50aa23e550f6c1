import { InvalidInputError } from '../errors.ts'
import type { SeverityLevel } from '../model/alert.ts'
import { RawJson } from '../model/raw-json.ts'
import { parseJsonObject } from './json-line.ts'
import type { SensorAdapter, SensorResult } from './sensor-adapter.ts'
import { sysmonAlertId } from './sysmon-alert-id.ts'
import { readChannel, readSysmonEvent, type SysmonEvent } from './sysmon-event.ts'
import { opensCredentials, SYSMON_EVENT_TYPES, type SysmonEventType } from './sysmon-event-types.ts'
import { sysmonTimestamp } from './sysmon-time.ts'

const SYSMON_CHANNEL = 'Microsoft-Windows-Sysmon/Operational'

/**
 * Windows events of Sysmon, one JSON object a line, flat or as a log-analytics agent sends them.
 *
 * - Other channels, and events of Sysmon that have no entry in `SYSMON_EVENT_TYPES`, are skipped with a reason.
 * - `ruleName` is the `RuleName` of Sysmon's configuration, or the name of the event where that is absent or `-`.
 * - `eventDetail` is the event as received, character by character.
 * - `receivedAt` is left out: the alert counts as received when it is stored.
 */
export const sysmonSensor: SensorAdapter = { format: 'sysmon', readLine }

function readLine(line: string): SensorResult {
  const text = line.trim()
  const members = parseJsonObject('line', text)
  const channel = readChannel(members)
  if (channel !== SYSMON_CHANNEL) return { kind: 'skipped', reason: `channel ${channel}` }
  const event = readSysmonEvent(members)
  const type = SYSMON_EVENT_TYPES.get(event.eventId)
  if (type === undefined) return { kind: 'skipped', reason: `Sysmon event ${event.eventId}` }
  const { alertId, identity } = sysmonAlertId(event, text)
  return {
    kind: 'alert',
    identity,
    host: { hostname: event.hostname, platform: 'windows' },
    alert: {
      alertId,
      timestamp: sysmonTimestamp(event),
      tripwireType: type.tripwireType,
      ruleName: readRuleName(event, type),
      eventDetail: RawJson.fromText(text),
      severity: readSeverity(event, type),
    },
  }
}

function readRuleName(event: SysmonEvent, type: SysmonEventType): string {
  const ruleName = event.data.get('RuleName')
  if (ruleName === undefined || ruleName === null || ruleName === '' || ruleName === '-') return type.name
  if (typeof ruleName !== 'string') throw new InvalidInputError('RuleName', ruleName, 'text')
  return ruleName
}

function readSeverity(event: SysmonEvent, type: SysmonEventType): SeverityLevel {
  const critical =
    type.name === 'ProcessAccess' &&
    opensCredentials(event.data.get('TargetImage'), event.data.get('GrantedAccess'))
  return critical ? 'CRITICAL' : type.severity
}
