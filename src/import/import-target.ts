import type { AlertReceipt, NewAlert } from '../model/alert.ts'
import type { Host, HostInput } from '../model/host.ts'

/** What an import needs of a store. */
export interface ImportTarget {
  listHosts(): Promise<readonly Host[]>
  /** Returns the id of the host, which is the existing one when the hostname is registered. */
  upsertHost(host: HostInput): Promise<string>
  /** Resolves when each alert is stored durably, was stored before, or is rejected: a receipt each, in the order given. */
  insertAlerts(alerts: readonly NewAlert[]): Promise<readonly AlertReceipt[]>
}
