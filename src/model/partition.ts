import type { TripwireStorageError } from '../errors.ts'

/** A table that holds alerts: a partition, or a month that is detached on its way out. */
export interface AlertPartition {
  readonly partition: string
  /**
   * `attached`: a partition of `alerts`. `detaching`: its detachment was cut half way, and is finished by the next maintenance.
   * `detached`: on its way out, waiting for its archive.
   */
  readonly state: 'attached' | 'detaching' | 'detached'
  readonly isDefault: boolean
  /** Whether it is an ordinary table. One that is partitioned itself, or foreign, is neither completed nor retired. */
  readonly isTable: boolean
  /** The first moment of `receivedAt`, RFC 3339 in UTC. `null` for the DEFAULT partition and where there is no lower bound. */
  readonly from: string | null
  /** The first moment that does not belong to it any more. `null` for the DEFAULT partition and where there is no upper bound. */
  readonly to: string | null
  /** Whether its bounds are those of one month in UTC. */
  readonly isMonth: boolean
  /** Whether it has the unique index and the triggers, without which it cannot refuse resends. */
  readonly isComplete: boolean
  readonly indexes: number
  /** An estimate of the server's statistics. */
  readonly rows: number
  /** Of the table and its indexes. */
  readonly bytes: number
  /** When it came back from an archive. Retention leaves it alone then. */
  readonly restoredAt: string | null
}

/** A month that `ensurePartitions` looked at. */
export interface EnsuredPartition {
  readonly partition: string
  readonly from: string
  readonly to: string
  /** Whether this call made it. */
  readonly made: boolean
}

/** Which months to keep. A month goes when any of the rules given says so. */
export interface RetentionOptions {
  /**
   * How many months to keep beside the present one, 0 to 1,200. No alert goes that was received in the last `keepMonths`
   * months.
   */
  readonly keepMonths?: number | undefined
  /** How many bytes all months together may take, with their indexes. The present month stays, whatever its size. */
  readonly keepBytes?: number | undefined
  /**
   * A folder for the archives: a month is archived there, the archive is verified against the table, and only then the table is
   * dropped. Without it, months are detached and stay as tables.
   */
  readonly archiveDir?: string | undefined
  /** Whether months that were restored from an archive go as well. Defaults to false. */
  readonly includeRestored?: boolean | undefined
  /**
   * Who lets months go, 1 to 255 characters. With it, the beginning and the drop of each month are appended to the audit log of the host
   * `tripwire-storage`, each in its own transaction; the host is registered on first use. By default nothing is.
   */
  readonly actor?: string | undefined
}

/** A month that is due. */
export interface DueMonth {
  readonly partition: string
  readonly from: string
  readonly to: string
  /** An estimate of the server's statistics. */
  readonly rows: number
  readonly bytes: number
}

/** A month that left. */
export interface RetiredMonth {
  readonly partition: string
  readonly from: string
  readonly to: string
  /** `dropped`: it is in the archive only. `detached`: its table is there, but is no part of `alerts` any more. */
  readonly outcome: 'dropped' | 'detached'
  /** Exactly how many alerts the archive holds; `null` where there is none. */
  readonly rows: number | null
  /** The path of the archive's manifest; `null` where there is none. */
  readonly manifest: string | null
}

/** An action of the maintenance that failed. The others went on. */
export interface MaintenanceFailure {
  readonly action: 'ensure' | 'finalize' | 'deduplicate' | 'complete' | 'retire' | 'index' | 'count' | 'prune'
  /** `null` when it is about no single one. */
  readonly partition: string | null
  readonly error: TripwireStorageError
}

export interface RetentionReport {
  /** Whether another maintainer was at work, so that nothing was done. */
  readonly skipped: boolean
  readonly retired: readonly RetiredMonth[]
  readonly failures: readonly MaintenanceFailure[]
}

export interface MaintenanceReport extends RetentionReport {
  /** Partitions that were made. */
  readonly made: readonly string[]
  /** Partitions whose detachment had been cut half way, and is finished now. */
  readonly finalized: readonly string[]
  /** Partitions that have their unique index and triggers now. */
  readonly completed: readonly string[]
  /**
   * The end of the last month that is there without a hole from now on; `null` when this month is missing, `infinity` when there is
   * no end.
   */
  readonly horizon: string | null
}

/**
 * Which months get an index by which alerts are found by their `detail`: those that ended a day ago or earlier, or every month.
 * It makes storing an alert about a third dearer, so the months that are being written have none unless it is asked for.
 */
export const DETAIL_INDEX_MONTHS = ['closed', 'every'] as const
export type DetailIndexMonths = (typeof DETAIL_INDEX_MONTHS)[number]

export interface DetailIndexReport {
  /** Months whose index was built. */
  readonly indexed: readonly string[]
  readonly failures: readonly MaintenanceFailure[]
}

/** A month from which alerts were removed that stood in it twice. */
export interface DeduplicatedPartition {
  readonly partition: string
  /** Rows that were removed. The first of each alert stays. */
  readonly removed: number
  /** Of those removed, the ones whose content was another than that of the first. They are dead letters now. */
  readonly deadLettered: number
}

export interface MendReport {
  /** Whether another maintainer was at work, so that nothing was done. */
  readonly skipped: boolean
  readonly finalized: readonly string[]
  readonly deduplicated: readonly DeduplicatedPartition[]
  readonly completed: readonly string[]
  readonly failures: readonly MaintenanceFailure[]
}

/** When the maintenance of a store ran. */
export interface MaintenanceStatus {
  readonly lastRunAt: string | null
  /** Moves only when nothing failed. */
  readonly lastSuccessAt: string | null
  readonly failures: readonly MaintenanceFailure[]
  /** Why the last run could not be made at all; `undefined` when it could. */
  readonly error: unknown
  /** How many days from now are covered by partitions, as of the last look; `null` before the first one, `Infinity` without an end. */
  readonly horizonDays: number | null
}
