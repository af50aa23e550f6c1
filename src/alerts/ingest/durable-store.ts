import type { TripwireStorageError } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { Database } from '../../pg/database.ts'
import { acceptedAlertJson } from '../dead-letters/alert-json.ts'
import { insertDeadLetters } from '../dead-letters/insert-dead-letters.ts'
import type { AlertOutcome } from './alert-outcome.ts'
import type { CopyEncoder } from './copy-encoder.ts'
import { type StoreBatchOptions, storeBatch } from './store-batch.ts'

/** An alert that the database refused. It is in the dead letters. */
export interface DeadLetteredAlert {
  readonly alert: AcceptedAlert
  readonly error: TripwireStorageError
}

export interface DurableStoreOptions extends StoreBatchOptions {
  readonly onDeadLettered: (alerts: readonly DeadLetteredAlert[]) => void
}

/**
 * Stores a batch; what the database refuses goes into the dead letters. When it returns, each alert is in one of the two.
 * @throws DatabaseError when the database cannot be asked. Sending all of it again is safe.
 */
export async function storeDurably(
  db: Database,
  alerts: readonly AcceptedAlert[],
  encoder: CopyEncoder,
  options: DurableStoreOptions,
): Promise<readonly AlertOutcome[]> {
  const outcomes = await storeBatch(db, alerts, encoder, options)
  const refused: DeadLetteredAlert[] = []
  const durable = outcomes.map((outcome, index): AlertOutcome => {
    if (outcome.kind !== 'refused') return { kind: outcome.kind }
    const alert = alerts[index]
    if (alert) refused.push({ alert, error: outcome.error })
    return { kind: 'deadLettered', error: outcome.error }
  })
  if (refused.length > 0) {
    await insertDeadLetters(
      db,
      refused.map(({ alert, error }) => ({
        alertJson: acceptedAlertJson(alert),
        alertId: alert.alertId,
        hostId: alert.hostId,
        error,
      })),
    )
    options.onDeadLettered(refused)
  }
  return durable
}
