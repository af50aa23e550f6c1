import type { SeverityLevel, TripwireType } from './alert.ts'

/** What to watch, on one host or on all. */
export interface TripwireRule {
  readonly ruleId: string
  /** `null`: the rule is global. */
  readonly hostId: string | null
  readonly ruleType: TripwireType
  readonly target: string
  readonly severity: SeverityLevel
  readonly enabled: boolean
  /** RFC 3339, UTC, microseconds. */
  readonly createdAt: string
  /** RFC 3339, UTC, microseconds. Moves with every update. */
  readonly updatedAt: string
}

export interface NewTripwireRule {
  /** Defaults to a random UUID. */
  readonly ruleId?: string
  /** Absent or `null`: the rule is global. */
  readonly hostId?: string | null
  readonly ruleType: TripwireType
  /** The path, port or process pattern to watch. 1 to 4,096 characters. */
  readonly target: string
  /** Defaults to WARN. */
  readonly severity?: SeverityLevel
  /** Defaults to true. */
  readonly enabled?: boolean
}

/** How a change of a rule is recorded. */
export interface RuleChangeOptions {
  /**
   * Who makes the change, 1 to 255 characters. With it, the change is appended to the audit log in its own transaction: to the chain of
   * the rule's host; for a global rule to that of the host `tripwire-storage`, which is registered on first use. By default nothing is.
   */
  readonly actor?: string | undefined
}

/** An update replaces every field that can change, so none has a default. */
export interface TripwireRuleUpdate {
  readonly ruleId: string
  /** `null`: the rule becomes global. */
  readonly hostId: string | null
  readonly ruleType: TripwireType
  readonly target: string
  readonly severity: SeverityLevel
  readonly enabled: boolean
}
