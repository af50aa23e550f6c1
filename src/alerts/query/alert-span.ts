/** Which alerts, of which time, in which order: what pages and streams have in common. */
import { InvalidInputError } from '../../errors.ts'
import { ALERT_ORDERS, type AlertOrder } from '../../model/alert.ts'
import { parseOneOf, parseOptional } from '../../model/input.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import { type AlertFilter, FILTER_MEMBERS, parseFilterMembers } from './alert-filter.ts'

export const DEFAULT_ORDER: AlertOrder = 'newest'

/** Both ends as `parseTimestamp` writes them; `null` where there is no end. */
export interface TimeSpan {
  readonly from: string | null
  /** Not included. */
  readonly to: string | null
}

export interface AlertSpan {
  readonly filter: AlertFilter
  readonly received: TimeSpan
  /** By the clock of the sensor. */
  readonly sensed: TimeSpan
  readonly order: AlertOrder
}

export const SPAN_MEMBERS = [
  ...FILTER_MEMBERS,
  'from',
  'to',
  'timestampFrom',
  'timestampTo',
  'order',
  'cursor',
] as const

type SpanMembers = { readonly [name in (typeof SPAN_MEMBERS)[number]]?: unknown }

/** @throws InvalidInputError */
export function parseAlertSpan(given: SpanMembers): AlertSpan {
  return {
    filter: parseFilterMembers('query', given),
    received: parseTimeSpan(['from', given.from], ['to', given.to]),
    sensed: parseTimeSpan(['timestampFrom', given.timestampFrom], ['timestampTo', given.timestampTo]),
    order: parseOneOf('query.order', given.order ?? DEFAULT_ORDER, ALERT_ORDERS),
  }
}

type Member = readonly [name: string, value: unknown]

function parseTimeSpan([fromName, givenFrom]: Member, [toName, givenTo]: Member): TimeSpan {
  const from = parseOptional(givenFrom, value => parseTimestamp(`query.${fromName}`, value))
  const to = parseOptional(givenTo, value => parseTimestamp(`query.${toName}`, value))
  if (from !== null && to !== null && to < from) {
    throw new InvalidInputError(`query.${toName}`, givenTo, `a moment not before query.${fromName} (${from})`)
  }
  return { from, to }
}
