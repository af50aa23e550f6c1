import type { BenchAlert } from '../support/bench-alert.ts'

/** In the order in which every peer writes them. */
export const ALERT_COLUMNS = 'alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity'

export const INSERT_ONE_ALERT = `INSERT INTO alerts (${ALERT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)`

/** The parameters of one alert, as text. */
export function alertValues(alert: BenchAlert): string[] {
  return [
    alert.alertId,
    alert.hostId,
    alert.timestamp.toISOString(),
    alert.tripwireType,
    alert.ruleName,
    alert.eventDetail.text,
    alert.severity,
  ]
}
