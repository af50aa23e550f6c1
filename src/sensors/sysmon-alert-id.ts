import { derivedAlertId } from './derived-alert-id.ts'
import type { SysmonEvent } from './sysmon-event.ts'

/**
 * What makes an event this event and no other.
 *
 * Flat: the record number, which Windows counts per host and channel; and the time and the id, because the count starts
 * again when the log is cleared. The time of shipping, white space and the order of members do not matter.
 *
 * Log analytics: there is mostly no record number, and `EventOriginId` does not help: in recorded data it is the same
 * for all events of a host. So the content counts, with `TimeGenerated`. In recorded data, events of one tick of the clock
 * are equal in all of this (one key opened four times), so such an id is shared until occurrences are counted.
 */
const IDENTITY = {
  flat: ['Hostname', 'Channel', 'EventID', 'RecordNumber', 'UtcTime'],
  'log-analytics': ['Computer', 'Channel', 'EventID', 'TimeGenerated', 'EventData'],
} as const

/** Present in some exports of log analytics, and then part of the identity. */
const OPTIONAL_IDENTITY = 'EventRecordId'

export interface SysmonAlertId {
  readonly alertId: string
  /** As in `SensorResult`. */
  readonly identity: 'own' | 'content'
}

/**
 * The id of the alert for an event. When a part of the identity is missing, or is not text or a number that kept all of
 * its digits, the whole text of the event takes its place.
 */
export function sysmonAlertId(event: SysmonEvent, text: string): SysmonAlertId {
  const parts: string[] = []
  for (const name of IDENTITY[event.shape]) {
    const part = event.envelope.get(name)
    if (!isIdentifying(part)) return contentId(text)
    parts.push(String(part))
  }
  if (event.envelope.has(OPTIONAL_IDENTITY)) {
    const part = event.envelope.get(OPTIONAL_IDENTITY)
    if (!isIdentifying(part)) return contentId(text)
    parts.push(String(part))
  }
  const isNumbered = event.shape === 'flat' || event.envelope.has(OPTIONAL_IDENTITY)
  return {
    alertId: derivedAlertId(`sysmon-${event.shape}`, parts),
    identity: isNumbered ? 'own' : 'content',
  }
}

function contentId(text: string): SysmonAlertId {
  return { alertId: derivedAlertId('sysmon-text', [text]), identity: 'content' }
}

function isIdentifying(part: unknown): part is string | number {
  return typeof part === 'string' ? part !== '' : Number.isSafeInteger(part)
}
