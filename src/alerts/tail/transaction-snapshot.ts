import { TripwireStorageError } from '../../errors.ts'

/** Which transactions a statement saw: a `pg_snapshot`, with the top of each transaction alone. */
export interface TransactionSnapshot {
  /** The transactions that had begun and had not ended, in rising order. None of them was seen, nor one of a later number than all. */
  readonly running: readonly bigint[]
}

const PG_SNAPSHOT = /^\d+:\d+:((?:\d+(?:,\d+)*)?)$/

export function parseTransactionSnapshot(text: string): TransactionSnapshot {
  const [, running] = PG_SNAPSHOT.exec(text) ?? []
  if (running === undefined) {
    throw new TripwireStorageError('MALFORMED_ROW', `${text} is no snapshot of transactions`)
  }
  return { running: running === '' ? [] : running.split(',').map(BigInt) }
}
