/**
 * A span of the sensors' clocks, as spans of when alerts were received, which is what they are ordered and partitioned by.
 *
 * An alert is prompt when it was received from 5 minutes before to 1 hour after the moment that its sensor names. Prompt ones are
 * found by when they were received; the others, from hosts that were away or whose clock is wrong, have an index of their own.
 */
import type { AlertSpan, TimeSpan } from './alert-span.ts'

/** As in the index `alerts_late_timestamp_idx`, to which the planner compares it. */
export const IS_LATE = `(
        timezone('UTC', received_at) < timezone('UTC', timestamp) - make_interval(mins => 5)
        OR timezone('UTC', received_at) > timezone('UTC', timestamp) + make_interval(hours => 1)
      )`

const MOST_AHEAD_MS = 300_000
const MOST_BEHIND_MS = 3_600_000

export interface PartOfSpan {
  readonly span: AlertSpan
  /** `null`: whether they are late plays no part. */
  readonly isLate: boolean | null
}

/** Parts that together hold the same alerts, each alert once. */
export function splitByLateness(span: AlertSpan): readonly PartOfSpan[] {
  const { received, sensed } = span
  if (sensed.from === null && sensed.to === null) return [{ span, isLate: null }]
  const prompt = {
    from: later(received.from, shift(sensed.from, -MOST_AHEAD_MS)),
    to: earlier(received.to, shift(sensed.to, MOST_BEHIND_MS + 1)),
  }
  return [
    { span: { ...span, received: prompt }, isLate: false },
    { span, isLate: true },
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
