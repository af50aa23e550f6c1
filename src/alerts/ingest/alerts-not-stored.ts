import { TripwireStorageError } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'

export interface UnstoredAlert {
  /** The alert, with its id: it can be handed in again as it is. */
  readonly alert: AcceptedAlert
  /** Why it is not stored. */
  readonly error: unknown
}

/** Alerts that were taken but are not stored. They have left the buffer: this error is where they are now. */
export class AlertsNotStoredError extends TripwireStorageError {
  readonly alerts: readonly UnstoredAlert[]

  constructor(alerts: readonly UnstoredAlert[]) {
    const first = alerts[0]?.error
    const reason = first instanceof Error ? first.message : String(first)
    super('ALERTS_NOT_STORED', `${alerts.length} alerts are not stored; the first because: ${reason}`, {
      cause: first,
      hint: 'they are in the alerts of this error; those whose cause is passing can be handed in again, with the same ids',
    })
    this.alerts = alerts
  }
}
