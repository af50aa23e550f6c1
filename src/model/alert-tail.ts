import type { Alert, AlertFilterInput } from './alert.ts'
import type { TimestampInput } from './timestamp.ts'

/** From where to follow alerts, and which. */
export interface AlertTailOptions {
  /**
   * A `resumeToken`: what was committed and was not delivered before it. Or a moment, as a `Date` or RFC 3339 text: what was written
   * from then on, and by transactions that had not ended when the tail began. Not what was written just before the moment and committed
   * just after it, when the tail begins later still. The journal reaches back `tailKeepHours`. By default what is committed after the call.
   */
  readonly after?: string | TimestampInput | undefined
  /** Which alerts. By default all. */
  readonly filter?: AlertFilterInput | undefined
  /**
   * How often to look for alerts, also where no notification arrives, 10 to 3,600,000 ms. Notifications wake the tail earlier.
   * Defaults to 1,000.
   */
  readonly pollIntervalMs?: number | undefined
  /** Ends the tail: `next` throws the reason of the signal once, and is done from then on. */
  readonly signal?: AbortSignal | undefined
  /**
   * How long one of its statements may take, 1 to 86,400,000 ms. Then it is cancelled and tried again, with twice the time. Defaults
   * to `queryTimeoutMs` of the store.
   */
  readonly timeoutMs?: number | undefined
  /** Called with each passing error, such as a lost connection, before the tail tries again and goes on. */
  readonly onRetry?: ((error: unknown) => void) | undefined
}

/** An alert, and the place behind it. */
export interface TailedAlert {
  readonly alert: Alert
  /** For `after` of a later tail with the same filter, which then goes on behind this alert. Made when it is asked for. */
  readonly resumeToken: string
}

/** Follows alerts. `break` ends it, so does `close`. */
export interface AlertTail extends AsyncIterableIterator<TailedAlert, undefined>, AsyncDisposable {
  /** Resolves when the tail has its place: what is committed from then on will be delivered. Throws as `next` would. */
  started(): Promise<void>
  /**
   * The place behind everything that `next` returned, and behind what the filter kept back meanwhile. `undefined` until the tail has
   * its place.
   */
  readonly resumeToken: string | undefined
  /** Ends it; nothing is left running. */
  close(): Promise<void>
}
