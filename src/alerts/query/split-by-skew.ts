/**
 * A span of the sensors' clocks, as spans of when alerts were received, which is what they are ordered and partitioned by.
 *
 * Most alerts are received from 5 minutes before to 1 hour after the moment that their sensor names, so that they are found by when
 * they were received. Others are skewed: their host was away, or its clock is wrong. They have indexes of their own.
 */
import type { AlertSpan, TimeSpan } from './alert-span.ts'

const MOST_AHEAD_MS = 300_000
const MOST_BEHIND_MS = 3_600_000

/** As in the indexes `alerts_skewed_…`, to whose condition the planner compares it: the two limits above once more. */
export const IS_SKEWED = `(
        timezone('UTC', received_at) < greatest(timezone('UTC', timestamp), make_timestamp(1, 1, 1, 0, 0, 0)) - make_interval(mins => 5)
        OR timezone('UTC', received_at) > least(timezone('UTC', timestamp), make_timestamp(9999, 12, 31, 0, 0, 0)) + make_interval(hours => 1)
      )`

export interface PartOfSpan {
  readonly span: AlertSpan
  /** Whether it holds skewed alerts only; otherwise it may hold any. */
  readonly isSkewed: boolean
}

/**
 * Parts that together hold the same alerts, each alert once: what was received about the time that is asked for, and what is skewed of the
 * time before and of the time after.
 */
export function splitBySkew(span: AlertSpan): readonly PartOfSpan[] {
  const { received, sensed } = span
  const from = shift(sensed.from, -MOST_AHEAD_MS)
  const to = shift(sensed.to, MOST_BEHIND_MS + 1)
  const within = { from: later(received.from, from), to: earlier(received.to, to) }
  const before = { ...received, to: earlier(received.to, from) }
  const after = { ...received, from: later(received.from, to) }
  return [
    { span: { ...span, received: within }, isSkewed: false },
    ...(from === null ? [] : [{ span: { ...span, received: before }, isSkewed: true }]),
    ...(to === null ? [] : [{ span: { ...span, received: after }, isSkewed: true }]),
  ]
}

type Moment = TimeSpan['from']

/** To the millisecond below; `null` when it leaves the years that a moment can have. */
function shift(moment: Moment, byMs: number): Moment {
  if (moment === null) return null
  const shifted = new Date(Date.parse(moment) + byMs)
  const year = shifted.getUTCFullYear()
  return year < 1 || year > 9999 ? null : shifted.toISOString().replace('Z', '000Z')
}

/** Moments of one form are in the order of their texts. */
function later(one: Moment, other: Moment): Moment {
  return one !== null && (other === null || one > other) ? one : other
}

function earlier(one: Moment, other: Moment): Moment {
  return one !== null && (other === null || one < other) ? one : other
}
