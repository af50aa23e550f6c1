/** Alerts in memory, and what a query over them must give: a second opinion, written without SQL. */
import type { AlertOrder, SeverityLevel, TripwireType } from '../../../src/index.ts'

export interface ModelAlert {
  readonly alertId: string
  readonly hostId: string
  readonly receivedAt: string
  readonly timestamp: string
  readonly severity: SeverityLevel
  readonly tripwireType: TripwireType
  readonly ruleName: string
  /** `undefined`: SQL NULL. */
  readonly eventDetail: ModelDetail | undefined
}

/** One level deep: enough to tell containment from equality. */
export type ModelDetail = Readonly<Record<string, number>>

/** Moments in the form that the library returns, so that their texts are in the order of time. */
export interface ModelQuery {
  readonly hostId?: readonly string[] | undefined
  readonly severity?: readonly SeverityLevel[] | undefined
  readonly tripwireType?: readonly TripwireType[] | undefined
  readonly ruleName?: readonly string[] | undefined
  readonly detail?: ModelDetail | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly timestampFrom?: string | undefined
  readonly timestampTo?: string | undefined
  readonly order?: AlertOrder | undefined
}

export function selectAlerts(alerts: readonly ModelAlert[], query: ModelQuery): readonly ModelAlert[] {
  const chosen = alerts.filter(
    alert =>
      isOneOf(query.hostId, alert.hostId) &&
      isOneOf(query.severity, alert.severity) &&
      isOneOf(query.tripwireType, alert.tripwireType) &&
      isOneOf(query.ruleName, alert.ruleName) &&
      isWithin(query.from, query.to, alert.receivedAt) &&
      isWithin(query.timestampFrom, query.timestampTo, alert.timestamp) &&
      (query.detail === undefined || contains(alert.eventDetail, query.detail)),
  )
  const sorted = chosen.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))
  return query.order === 'oldest' ? sorted : sorted.toReversed()
}

export function keyOf({ receivedAt, alertId, hostId }: ModelAlert): string {
  return `${receivedAt} ${alertId} ${hostId}`
}

function isOneOf<T>(wanted: readonly T[] | undefined, value: T): boolean {
  return wanted === undefined || wanted.includes(value)
}

function isWithin(from: string | undefined, to: string | undefined, moment: string): boolean {
  return (from === undefined || moment >= from) && (to === undefined || moment < to)
}

function contains(detail: ModelDetail | undefined, wanted: ModelDetail): boolean {
  return detail !== undefined && Object.entries(wanted).every(([name, value]) => detail[name] === value)
}
