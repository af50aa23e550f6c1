import type { Alert } from '../../model/alert.ts'
import type { Database } from '../../pg/database.ts'
import type { AlertFilter } from '../query/alert-filter.ts'
import { type JournalSpan, type JournalView, readJournal } from './read-journal.ts'
import { readTailAlerts } from './read-tail-alerts.ts'
import { SharedReads } from './shared-reads.ts'
import type { TailPosition } from './tail-position.ts'
import type { WakeSignal } from './wake-signal.ts'

const RENEW_JOURNAL = `
  SELECT renew_alert_journal()`

export interface ReadLimits {
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

type AlertsOfSpans = readonly (readonly Alert[])[]

/**
 * What the tails of a store read. Those that stand at the same place when they are woken share the reads, also those of the alerts when
 * their filters are the same.
 */
export class TailReader {
  readonly #db: Database
  readonly #news: WakeSignal
  readonly #journal = new SharedReads<JournalView>()
  readonly #alerts = new WeakMap<JournalView, SharedReads<AlertsOfSpans>>()
  readonly #rests = new WeakMap<JournalView, JournalView>()

  constructor(db: Database, news: WakeSignal) {
    this.#db = db
    this.#news = news
  }

  /** What the journal shows; without a position, at its end. It is never older than the last news. */
  async readJournal(
    position: TailPosition | undefined,
    { signal, timeoutMs }: ReadLimits,
  ): Promise<JournalView> {
    const key = `${this.#news.count} ${timeoutMs} ${position ? keyOf(position) : ''}`
    return this.#journal.run(key, signal, shared =>
      readJournal(this.#db.withLimits({ signal: shared, timeoutMs }), position),
    )
  }

  /** The alerts of the first spans of a view. */
  async readAlerts(
    view: JournalView,
    spans: readonly JournalSpan[],
    position: TailPosition,
    filter: AlertFilter,
    { signal, timeoutMs }: ReadLimits,
  ): Promise<AlertsOfSpans> {
    const reads = this.#alerts.get(view) ?? new SharedReads<AlertsOfSpans>()
    this.#alerts.set(view, reads)
    const { hostIds, severities, tripwireTypes, ruleNames, detail } = filter
    const key = JSON.stringify([timeoutMs, hostIds, severities, tripwireTypes, ruleNames, detail])
    return reads.run(key, signal, shared => {
      const db = this.#db.withLimits({ signal: shared, timeoutMs })
      return readTailAlerts(db, spans, position.partial?.after, filter)
    })
  }

  /** What is left of a view behind its first spans, as many as always are taken of it. The same for all who share the view. */
  restOf(view: JournalView, taken: number): JournalView {
    const rest = this.#rests.get(view) ?? { ...view, spans: view.spans.slice(taken) }
    this.#rests.set(view, rest)
    return rest
  }

  /** Begins the journal anew, when it came from another database. */
  async renewJournal(limits: ReadLimits): Promise<void> {
    await this.#db.withLimits(limits).query(RENEW_JOURNAL)
  }
}

function keyOf({ newest, open, partial, since }: TailPosition): string {
  const { receivedAt, alertId, hostId } = partial?.after ?? {}
  return [newest.xid, newest.writtenAt, open, partial?.xid, receivedAt, alertId, hostId, since].join(' ')
}
