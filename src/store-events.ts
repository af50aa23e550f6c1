import type { AlertCounts } from './alerts/ingest/alert-counters.ts'
import type { DeadLetteredAlert } from './alerts/ingest/durable-store.ts'
import type { FlushStats } from './alerts/ingest/flush-statistics.ts'
import type { DetailIndexReport, MaintenanceReport, MaintenanceStatus } from './model/partition.ts'

/** What a store tells while it works. */
export interface StoreEvents {
  /**
   * A flush of the timer failed, or a batch of the spool could not be stored. The `waiting` alerts stay where they are, and are
   * tried again.
   */
  flushFailed: [event: { readonly error: unknown; readonly waiting: number }]
  /** The database refused these alerts, one by one. They are in the dead letters. */
  alertsDeadLettered: [event: { readonly alerts: readonly DeadLetteredAlert[] }]
  /** The database cannot be asked. Alerts go into the spool, or, without one, their calls fail. */
  databaseAway: [event: { readonly error: unknown }]
  /** The database answers again. */
  databaseBack: []
  /** The spool cannot be read. What is in it stays there. */
  spoolFailed: [event: { readonly error: unknown }]
  /** The maintenance ran. Where `failures` holds something, the rest went on, and that is tried again by the next run. */
  maintenanceFinished: [report: MaintenanceReport]
  /** Indexes of details were built in the background, or could not be. What failed is tried again after the interval. */
  detailsIndexed: [report: DetailIndexReport]
  /** The maintenance, or the indexing of details, could not be run at all. It is tried again after the interval. */
  maintenanceFailed: [event: { readonly error: unknown }]
  /** An idle connection died. The pool replaces it when it is needed. */
  connectionLost: [event: { readonly error: unknown }]
}

/** Counts since the store was opened. */
export interface StoreStats extends AlertCounts, FlushStats {
  /** Alerts that the spool could not read any more. They were set aside in its folder. 0 without a spool. */
  readonly spoolDamaged: number
  /** The error of the last failed flush of the timer. */
  readonly lastFlushError: unknown
  /** When this store's maintenance ran. `doctor` knows of those of other processes as well. */
  readonly maintenance: MaintenanceStatus
}

/** What became of the alerts of a store, told when it is closed. */
export type CloseReport = AlertCounts
