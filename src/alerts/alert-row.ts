import type { Alert, SeverityLevel, TripwireType } from '../model/alert.ts'
import { RawJson } from '../model/raw-json.ts'
import { selectTimestamp, timestampFromRow } from '../pg/row-values.ts'

export interface AlertRow {
  readonly alert_id: string
  readonly host_id: string
  readonly timestamp: string
  readonly tripwire_type: TripwireType
  readonly rule_name: string
  readonly event_detail: string | null
  readonly severity: SeverityLevel
  readonly received_at: string
}

export const ALERT_COLUMNS = `
    alert_id,
    host_id,
    ${selectTimestamp('timestamp')},
    tripwire_type,
    rule_name,
    event_detail,
    severity,
    ${selectTimestamp('received_at')}`

export function alertFromRow(row: AlertRow): Alert {
  return {
    alertId: row.alert_id,
    hostId: row.host_id,
    timestamp: timestampFromRow(row.timestamp),
    tripwireType: row.tripwire_type,
    ruleName: row.rule_name,
    eventDetail: row.event_detail === null ? null : RawJson.fromDatabase(row.event_detail),
    severity: row.severity,
    receivedAt: timestampFromRow(row.received_at),
  }
}
