import { InvalidInputError } from '../errors.ts'
import { parseTimestamp } from '../model/timestamp.ts'
import type { SysmonEvent } from './sysmon-event.ts'

/** `2020-09-04 20:09:38.123`, or with `T` and `Z`. What follows the time of day is the offset, if any. */
const DATE_AND_TIME = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?$/

/**
 * When the event happened: RFC 3339 in UTC, to the microsecond. Taken from the first that is there:
 *
 * 1. `UtcTime`, written by Sysmon, always UTC;
 * 2. `TimeGenerated`, the time of the Windows event, in the log-analytics shape;
 * 3. `EventTime`, if it has an offset: without one it is the local time of a machine whose zone nobody knows;
 * 4. `@timestamp`, the time of the shipper, which is later than the event.
 *
 * @throws InvalidInputError when there is none, or the first that is there is not a time. It is not passed over for the
 * next one, because a wrong time would go unnoticed.
 */
export function sysmonTimestamp(event: SysmonEvent): string {
  const utcTime = event.data.get('UtcTime')
  if (isGiven(utcTime)) return parseEventTime('UtcTime', utcTime, 'Z')
  const timeGenerated = event.envelope.get('TimeGenerated')
  if (isGiven(timeGenerated)) return parseEventTime('TimeGenerated', timeGenerated, 'Z')
  const eventTime = event.envelope.get('EventTime')
  if (typeof eventTime === 'string' && DATE_AND_TIME.exec(eventTime)?.[4] !== undefined) {
    return parseEventTime('EventTime', eventTime, '')
  }
  const shipped = event.envelope.get('@timestamp')
  if (isGiven(shipped)) return parseEventTime('@timestamp', shipped, 'Z')
  throw new InvalidInputError('UtcTime', utcTime, 'a time in UtcTime, TimeGenerated or @timestamp')
}

/** Sysmon writes `-` into a field that has no value. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && value !== '-'
}

function parseEventTime(field: string, value: unknown, defaultOffset: string): string {
  const match = typeof value === 'string' ? DATE_AND_TIME.exec(value) : null
  if (!match) throw new InvalidInputError(field, value, 'a time such as 2020-09-04 20:09:38.123')
  const [, date = '', time = '', fraction = '', offset = defaultOffset] = match
  // More digits than microseconds are cut, and `parseTimestamp` checks that such a day and time exist.
  return parseTimestamp(field, `${date}T${time}.${fraction.slice(0, 6).padEnd(6, '0')}${offset}`)
}
