import { InvalidInputError } from '../errors.ts'
import { parseText } from '../model/input.ts'
import { type JsonMembers, parseJsonObject } from './json-line.ts'

/** A Windows event in one of the two shapes, brought to one. */
export interface SysmonEvent {
  readonly shape: 'flat' | 'log-analytics'
  readonly hostname: string
  readonly eventId: number
  /** What the shipper says about the event. The same map as `data` in the flat shape. */
  readonly envelope: JsonMembers
  /** What Sysmon itself wrote: `UtcTime`, `RuleName`, `Image`, … */
  readonly data: JsonMembers
}

/** 255 characters, as `Host.hostname`. */
const LONGEST_HOSTNAME = 255

/** The channel of a Windows event of either shape. */
export function readChannel(members: JsonMembers): string {
  return parseText('Channel', members.get('Channel'), 255)
}

/**
 * Reads an event of Sysmon's channel. An event with `Computer` or `EventData` has the shape of the log-analytics agent
 * (Azure's table WindowsEvent), where `EventData` is JSON text or an object; any other is taken as flat (NXLog, Logstash).
 */
export function readSysmonEvent(envelope: JsonMembers): SysmonEvent {
  const eventId = readEventId(envelope.get('EventID'))
  if (!envelope.has('Computer') && !envelope.has('EventData')) {
    const hostname = parseText('Hostname', envelope.get('Hostname'), LONGEST_HOSTNAME)
    return { shape: 'flat', hostname, eventId, envelope, data: envelope }
  }
  const hostname = parseText('Computer', envelope.get('Computer'), LONGEST_HOSTNAME)
  return {
    shape: 'log-analytics',
    hostname,
    eventId,
    envelope,
    data: readEventData(envelope.get('EventData')),
  }
}

/** A number, or its digits as text, as some shippers write it. */
function readEventId(value: unknown): number {
  const eventId = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value
  if (typeof eventId !== 'number' || !Number.isInteger(eventId) || eventId < 0 || eventId > 65_535) {
    throw new InvalidInputError('EventID', value, 'a whole number from 0 to 65535')
  }
  return eventId
}

function readEventData(value: unknown): JsonMembers {
  if (typeof value === 'string') return parseJsonObject('EventData', value)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError('EventData', value, 'a JSON object, or the text of one')
  }
  return new Map<string, unknown>(Object.entries(value))
}
