import { derivedAlertId } from './derived-alert-id.ts'
import type { SysmonEvent } from './sysmon-event.ts'

/**
 * What makes an event this event and no other.
 *
 * Flat: the record number, which Windows counts per host and channel; and the time and the id, because the count starts
 * again when the log is cleared. The time of shipping, white space and the order of members do not matter.
 *
 * Log analytics: there is mostly no record number, and `EventOriginId` does not help: in recorded data it is the same
 * for all events of a host. So the content counts, with `TimeGenerated`, which tells apart events of one millisecond
 * that are otherwise alike. Events equal in all of this cannot be told from one that was delivered twice: they share
 * an id, and are stored once.
 */
const IDENTITY = {
  flat: ['Hostname', 'Channel', 'EventID', 'RecordNumber', 'UtcTime'],
  'log-analytics': ['Computer', 'Channel', 'EventID', 'TimeGenerated', 'EventData'],
} as const

/** Present in some exports of log analytics, and then part of the identity. */
const OPTIONAL_IDENTITY = 'EventRecordId'

/**
 * The id of the alert for an event. When a part of the identity is missing, or is not text or a number that kept all of
 * its digits, the whole text of the event takes its place.
 */
export function sysmonAlertId(event: SysmonEvent, text: string): string {
  const identity: string[] = []
  for (const name of IDENTITY[event.shape]) {
    const part = event.envelope.get(name)
    if (!isIdentifying(part)) return derivedAlertId('sysmon-text', [text])
    identity.push(String(part))
  }
  if (event.envelope.has(OPTIONAL_IDENTITY)) {
    const part = event.envelope.get(OPTIONAL_IDENTITY)
    if (!isIdentifying(part)) return derivedAlertId('sysmon-text', [text])
    identity.push(String(part))
  }
  return derivedAlertId(`sysmon-${event.shape}`, identity)
}

function isIdentifying(part: unknown): part is string | number {
  return typeof part === 'string' ? part !== '' : Number.isSafeInteger(part)
}
