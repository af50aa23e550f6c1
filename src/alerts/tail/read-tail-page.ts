import type { Alert } from '../../model/alert.ts'
import type { AlertFilter } from '../query/alert-filter.ts'
import type { JournalSpan, JournalView } from './read-journal.ts'
import { MOST_OF_SPAN } from './read-tail-alerts.ts'
import {
  type AlertPlace,
  behindMoment,
  behindTransaction,
  caughtUp,
  type TailPosition,
  withinTransaction,
} from './tail-position.ts'
import type { ReadLimits, TailReader } from './tail-reader.ts'

/** How many alerts the spans of one page hold at the most; one span may hold more, and then is read in parts. */
const MOST_ALERTS = 1000

export interface TailEntry {
  readonly alert: Alert
  /** The position behind this alert. */
  readonly positionAfter: () => TailPosition
}

export interface TailPage {
  readonly entries: readonly TailEntry[]
  /** Behind everything that the page looked at, also where the filter let nothing pass. */
  readonly position: TailPosition
  readonly hasMore: boolean
  /** What the journal showed beyond this page; absent when it has to be looked at again. */
  readonly rest: JournalView | undefined
}

/** Reads the alerts of what the journal shows next, as many as make a page. */
export async function readTailPage(
  reader: TailReader,
  start: TailPosition,
  view: JournalView,
  filter: AlertFilter,
  limits: ReadLimits,
): Promise<TailPage> {
  const spans = takeSpans(view.spans)
  const found = spans.length === 0 ? [] : await reader.readAlerts(view, spans, start, filter, limits)
  const entries: TailEntry[] = []
  let position = start
  for (const [index, span] of spans.entries()) {
    const alerts = found[index] ?? []
    const last = alerts.at(-1)
    const within = (place: AlertPlace) => withinTransaction(start, view.snapshot, span, place)
    for (const alert of alerts) entries.push({ alert, positionAfter: () => within(alert) })
    if (last && alerts.length === MOST_OF_SPAN) {
      return { entries, position: within(last), hasMore: true, rest: undefined }
    }
    const behind = isWhole(view, index)
      ? behindTransaction(start, view.snapshot, span)
      : within(behindMoment(span.newest))
    if (last) entries.splice(-1, 1, { alert: last, positionAfter: () => behind })
    position = behind
  }
  // While a transaction was partly delivered, it alone was looked at.
  const isLeft = spans.length < view.spans.length
  const hasMore = view.hasMore || isLeft || start.partial !== null
  if (hasMore && spans.length === 0 && start.partial !== null) {
    position = { ...start, open: start.open.filter(xid => xid !== start.partial?.xid), partial: null }
  }
  const rest = isLeft && position.partial === null ? reader.restOf(view, spans.length) : undefined
  return { entries, position: hasMore ? position : caughtUp(view.newest, view.snapshot), hasMore, rest }
}

function takeSpans(spans: readonly JournalSpan[]): readonly JournalSpan[] {
  let alerts = 0
  let taken = 0
  for (const span of spans) {
    alerts += span.alerts
    if (taken > 0 && alerts > MOST_ALERTS) break
    taken++
  }
  return spans.slice(0, taken)
}

/** Whether the span at this index is the last one of its transaction. */
function isWhole({ spans, isCut }: JournalView, index: number): boolean {
  const next = spans[index + 1]
  return next === undefined ? !isCut : next.xid !== spans[index]?.xid
}
