import type { SeverityLevel } from './alert.ts'
import type { TimestampInput } from './timestamp.ts'

/** The steps of a timeline, in UTC. A week begins on Monday. */
export const TIMELINE_BUCKETS = ['minute', 'hour', 'day', 'week', 'month'] as const
export type TimelineBucket = (typeof TIMELINE_BUCKETS)[number]

/** What a timeline can tell apart. */
export const TIMELINE_GROUPS = ['severity', 'tripwireType', 'hostId', 'ruleName'] as const
export type TimelineGroup = (typeof TIMELINE_GROUPS)[number]

/** Which alerts are counted. */
export interface AlertCountSpan {
  /** The first moment of `receivedAt` that is included. */
  readonly from: TimestampInput
  /** The first moment that is not included any more. */
  readonly to: TimestampInput
  /** A severity, or a list of them. By default all. */
  readonly severity?: SeverityLevel | readonly SeverityLevel[] | null | undefined
}

export interface AlertTimelineQuery extends AlertCountSpan {
  /** From `from` to `to` there may be 10,000 of them. */
  readonly bucket: TimelineBucket
  /** What to tell apart within a bucket. By default nothing. */
  readonly groupBy?: TimelineGroup | null | undefined
}

/** A step of a timeline. */
export interface AlertTimelineBucket {
  /** Its first moment, RFC 3339 in UTC. That of the first bucket may lie before the query's `from`: what is before is not counted. */
  readonly from: string
  /** The first moment that does not belong to it any more. */
  readonly to: string
  /** 0 where nothing was received: a chart needs every step. */
  readonly alerts: number
  /** By `groupBy`, the most frequent first, without those that have none. Empty without `groupBy`. */
  readonly groups: readonly AlertCountGroup[]
}

export interface AlertCountGroup {
  /** A severity, a type, the id of a host, or the name of a rule. */
  readonly value: string
  readonly alerts: number
}

export interface TopAlertsQuery extends AlertCountSpan {
  /** How many, 1 to 10,000. Defaults to 10. */
  readonly limit?: number | undefined
}

export interface HostAlertCount {
  readonly hostId: string
  readonly alerts: number
}

export interface RuleAlertCount {
  readonly ruleName: string
  readonly alerts: number
}

export interface CheckAlertCountsOptions {
  /** Hours that begin before it are not checked. By default all are. */
  readonly from?: TimestampInput | null | undefined
  /** Hours that end after it are not checked. By default all are. */
  readonly to?: TimestampInput | null | undefined
  /** Whether hours with wrong counts are opened again: they are read from then on, until the maintenance has counted them anew. Defaults to false. */
  readonly reopen?: boolean | undefined
}

/** What a sum says, and what the alerts say. */
export interface AlertCountFinding {
  /** The first moment of the hour, RFC 3339 in UTC. */
  readonly hour: string
  readonly dimension: 'total' | 'type' | 'host' | 'rule'
  /** Of the dimension; empty for the total. */
  readonly value: string
  readonly severity: SeverityLevel
  /** The sum that is kept. */
  readonly counted: number
  /** The alerts that are there. */
  readonly found: number
}

export interface AlertCountCheck {
  /** How many closed hours were counted again. */
  readonly hours: number
  /** How many of them were wrong. */
  readonly wrongHours: number
  /** How many of those are open again. */
  readonly reopenedHours: number
  /** The first 1,000. */
  readonly findings: readonly AlertCountFinding[]
}

/** What counting alerts by the hour did. */
export interface AlertRollUp {
  /** Hours whose alerts were counted. */
  readonly closedHours: number
  /** Hours whose counts were taken out, because their month is gone. */
  readonly forgottenHours: number
  /** Hours whose counts were merged. */
  readonly mergedHours: number
  /**
   * `done`: nothing is left. `waiting`: for transactions that are older than the newest hours. `busy`: another one was at work.
   * `working`: the time was over before all was done; the next run goes on.
   */
  readonly state: 'done' | 'waiting' | 'busy' | 'working'
  /** Hours before it are closed, or will be without a wait; `-infinity` at the very first. */
  readonly settledThrough: string
}
