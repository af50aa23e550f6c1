import { randomUUID } from 'node:crypto'
import { InvalidInputError, TripwireStorageError } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import { SEVERITY_LEVELS, TRIPWIRE_TYPES } from '../../model/alert.ts'
import { parseJson, parseObject, parseOneOf, parseOptional, parseText, parseUuid } from '../../model/input.ts'
import { parseTimestamp } from '../../model/timestamp.ts'

const LONGEST_RULE_NAME = 1000
/** The same bounds as in the SQL function ensure_alert_partition: a garbage date must not choose a partition. */
const OLDEST_RECEIVED_AT = '2000-01-01T00:00:00.000000Z'
const RECEIVED_AT_AHEAD_MS = 31 * 86_400_000

/**
 * Checks an alert at the border.
 * @param field the name under which errors speak of it: `alert.severity`, `alerts[3].severity`.
 * @throws InvalidInputError
 */
export function parseAlert(field: string, alert: unknown): AcceptedAlert {
  const given = parseObject(field, alert, [
    'alertId',
    'hostId',
    'timestamp',
    'tripwireType',
    'ruleName',
    'eventDetail',
    'severity',
    'receivedAt',
  ])
  return {
    alertId: given.alertId === undefined ? randomUUID() : parseUuid(`${field}.alertId`, given.alertId),
    hostId: parseUuid(`${field}.hostId`, given.hostId),
    timestamp: parseTimestamp(`${field}.timestamp`, given.timestamp),
    tripwireType: parseOneOf(`${field}.tripwireType`, given.tripwireType, TRIPWIRE_TYPES),
    ruleName: parseText(`${field}.ruleName`, given.ruleName, LONGEST_RULE_NAME),
    eventDetail: parseOptional(given.eventDetail, detail => parseJson(`${field}.eventDetail`, detail)),
    severity: parseOneOf(`${field}.severity`, given.severity, SEVERITY_LEVELS),
    receivedAt: parseOptional(given.receivedAt, moment => parseReceivedAt(`${field}.receivedAt`, moment)),
  }
}

/** The same, with the error as a value. */
export function parseAlertOrError(
  field: string,
  alert: unknown,
):
  | { readonly alert: AcceptedAlert; readonly error?: never }
  | { readonly alert?: never; readonly error: TripwireStorageError } {
  try {
    return { alert: parseAlert(field, alert) }
  } catch (error) {
    if (error instanceof TripwireStorageError) return { error }
    throw error
  }
}

function parseReceivedAt(field: string, value: unknown): string {
  const receivedAt = parseTimestamp(field, value)
  const newest = new Date(Date.now() + RECEIVED_AT_AHEAD_MS).toISOString()
  if (receivedAt < OLDEST_RECEIVED_AT || receivedAt > newest) {
    throw new InvalidInputError(field, value, 'a moment from the year 2000 to 31 days from now')
  }
  return receivedAt
}
