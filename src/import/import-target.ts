import type { TripwireStorageError } from '../errors.ts'
import type { NewAlert } from '../model/alert.ts'
import type { Host, HostInput } from '../model/host.ts'

/** What an import needs of a store. */
export interface ImportTarget {
  listHosts(): Promise<readonly Host[]>
  /** Returns the id of the host, which is the existing one when the hostname is registered. */
  upsertHost(host: HostInput): Promise<string>
  /** Resolves when each alert is stored durably, was stored before, or is refused: each is counted exactly once. */
  insertAlertBatch(alerts: readonly NewAlert[]): Promise<AlertBatchResult>
}

export interface AlertBatchResult {
  readonly stored: number
  readonly duplicates: number
  /** `index` counts within the batch, from 0. */
  readonly refused: readonly { readonly index: number; readonly error: TripwireStorageError }[]
}
