import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { Database } from '../../pg/database.ts'
import { COPY_ALERTS, COPY_ALERTS_WITH_RECEIVED_AT, type CopyEncoder } from './copy-encoder.ts'

/**
 * The fast path: one binary COPY, one round trip, one commit. All of the batch or, when it throws, nothing.
 * An alert that is stored already makes it throw a unique violation.
 *
 * COPY has one list of columns, so a batch in which only some alerts bring their `receivedAt` is not for it.
 */
export async function copyAlerts(
  db: Database,
  alerts: readonly AcceptedAlert[],
  encoder: CopyEncoder,
): Promise<void> {
  const withReceivedAt = alerts[0]?.receivedAt !== null
  const sql = withReceivedAt ? COPY_ALERTS_WITH_RECEIVED_AT : COPY_ALERTS
  await db.copyIn(sql, encoder.encode(alerts, withReceivedAt))
}

/** Whether `copyAlerts` can take the batch as a whole. */
export function fitsOneCopy(alerts: readonly AcceptedAlert[]): boolean {
  const withReceivedAt = alerts[0]?.receivedAt !== null
  return alerts.every(alert => (alert.receivedAt !== null) === withReceivedAt)
}
