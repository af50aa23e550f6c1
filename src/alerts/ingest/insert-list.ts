import type { TripwireStorageError } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { AlertReceipt } from '../../model/alert.ts'
import type { AlertOutcome } from './alert-outcome.ts'
import { parseAlertOrError } from './parse-alert.ts'

/** So many alerts of a list are handed over at once. The list may be of any length. */
const CHUNK_ALERTS = 1000

/** What became of an alert that cannot be read. */
export interface UnreadableAlert {
  readonly alert: unknown
  readonly error: TripwireStorageError
}

export interface InsertListOptions {
  /** Takes room in memory, if there is any. */
  readonly tryReserve: (alerts: readonly AcceptedAlert[]) => boolean
  /** Makes the alerts durable; waits for room in memory first, where it was not reserved. */
  readonly submit: (alerts: readonly AcceptedAlert[], isReserved: boolean) => Promise<readonly AlertOutcome[]>
  readonly keepUnreadable: (unreadable: readonly UnreadableAlert[]) => Promise<void>
}

/**
 * Hands a list over, piece by piece, as memory allows, and gathers a receipt for each alert in the order given.
 * When one piece fails the call fails, after the others have come to their end.
 */
export async function insertList(
  alerts: readonly unknown[],
  options: InsertListOptions,
): Promise<readonly AlertReceipt[]> {
  const receipts = new Array<AlertReceipt>(alerts.length)
  const underWay = new Set<Promise<void>>()
  const unreadable: UnreadableAlert[] = []
  let failure: { readonly error: unknown } | undefined
  for (let start = 0; start < alerts.length && !failure; start += CHUNK_ALERTS) {
    const chunk = readChunk(alerts, start, receipts, unreadable)
    let isReserved = options.tryReserve(chunk.alerts)
    // What is under way will make room, so only the first piece can be told that there is none.
    while (!isReserved && underWay.size > 0) {
      await Promise.race(underWay)
      isReserved = options.tryReserve(chunk.alerts)
    }
    const piece = options.submit(chunk.alerts, isReserved).then(
      outcomes =>
        chunk.indexes.forEach((index, position) => {
          receipts[index] = receiptOf(chunk.alerts[position], outcomes[position])
        }),
      error => {
        failure ??= { error }
      },
    )
    const tracked = piece.finally(() => underWay.delete(tracked))
    underWay.add(tracked)
  }
  await Promise.all(underWay)
  if (failure) throw failure.error
  await options.keepUnreadable(unreadable)
  return receipts
}

function readChunk(
  alerts: readonly unknown[],
  start: number,
  receipts: AlertReceipt[],
  unreadable: UnreadableAlert[],
): { readonly alerts: readonly AcceptedAlert[]; readonly indexes: readonly number[] } {
  const chunk: AcceptedAlert[] = []
  const indexes: number[] = []
  const end = Math.min(start + CHUNK_ALERTS, alerts.length)
  for (let index = start; index < end; index++) {
    const { alert, error } = parseAlertOrError(`alerts[${index}]`, alerts[index])
    if (alert) {
      chunk.push(alert)
      indexes.push(index)
    } else {
      unreadable.push({ alert: alerts[index], error })
      receipts[index] = { alertId: undefined, outcome: 'rejected', error }
    }
  }
  return { alerts: chunk, indexes }
}

function receiptOf(alert: AcceptedAlert | undefined, outcome: AlertOutcome | undefined): AlertReceipt {
  const alertId = alert?.alertId
  if (outcome?.kind === 'deadLettered') return { alertId, outcome: 'rejected', error: outcome.error }
  return { alertId, outcome: outcome?.kind ?? 'rejected' }
}
