import type { Alert, AlertPage } from '../../model/alert.ts'
import { parseInteger, parseObject, parseOptional } from '../../model/input.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { type AlertKey, cursorAfter, parseCursor } from './alert-cursor.ts'
import { type AlertSpan, parseAlertSpan, SPAN_MEMBERS } from './alert-span.ts'
import { LARGEST_PAGE_SIZE, readPage } from './query-alerts.ts'

/** How many alerts are read at a time when the query does not say. */
export const DEFAULT_STREAM_PAGE_SIZE = 2000

/** Gives what runs the statement of one page, which ends with the signal. */
export type OpenReader = (signal: AbortSignal) => QueryRunner

/**
 * Alerts one after another, read page by page: no transaction and no connection is held between two pages, so a consumer may take
 * all the time it likes. While one page is handed out, the next is read; no more than these two are in memory.
 *
 * Every alert that was there before the stream came to its place is handed out once. One that is stored behind the place, meanwhile,
 * is not: with `oldest`, alerts of now come at the end.
 *
 * An error of the database is thrown by `next`, and ends the stream; `cursor` says where another one can go on.
 */
export class AlertStream implements AsyncIterableIterator<Alert, undefined, undefined>, AsyncDisposable {
  readonly #span: AlertSpan
  readonly #pageSize: number
  readonly #openReader: OpenReader
  readonly #signal: AbortSignal | undefined
  readonly #stopped = new AbortController()
  readonly #alerts: AsyncGenerator<Alert, undefined, undefined>
  #after: AlertKey | null

  /** Nothing runs before the first call of `next`. @throws InvalidInputError */
  constructor(query: unknown, signal: AbortSignal | undefined, openReader: OpenReader) {
    const given = parseObject('query', query, [...SPAN_MEMBERS, 'pageSize'])
    const size = given.pageSize ?? DEFAULT_STREAM_PAGE_SIZE
    this.#span = parseAlertSpan(given)
    this.#after = parseOptional(given.cursor, cursor => parseCursor(this.#span, cursor))
    this.#pageSize = parseInteger('query.pageSize', size, 1, LARGEST_PAGE_SIZE)
    this.#signal = signal
    this.#openReader = openReader
    this.#alerts = this.#read()
  }

  /** The place after the alert that was handed out last; `null` before the first. For the `cursor` of another stream or page. */
  get cursor(): string | null {
    return this.#after === null ? null : cursorAfter(this.#span, this.#after)
  }

  async next(): Promise<IteratorResult<Alert, undefined>> {
    return this.#alerts.next()
  }

  /** Ends the stream: what is being read is cancelled on the server. When it returns, nothing runs any more. */
  async return(): Promise<IteratorResult<Alert, undefined>> {
    this.#stopped.abort()
    return this.#alerts.return(undefined)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  async *#read(): AsyncGenerator<Alert, undefined, undefined> {
    let reading: Promise<AlertPage> | undefined = this.#startPage(this.#after)
    try {
      while (reading !== undefined) {
        const { alerts, nextCursor }: AlertPage = await reading
        const last = alerts.at(-1)
        reading = nextCursor === null || last === undefined ? undefined : this.#startPage(last)
        for (const alert of alerts) {
          this.#signal?.throwIfAborted()
          this.#after = alert
          yield alert
        }
      }
    } catch (error) {
      if (this.#stopped.signal.aborted) return undefined
      throw error
    } finally {
      await reading?.catch(() => undefined)
    }
    return undefined
  }

  #startPage(after: AlertKey | null): Promise<AlertPage> {
    const page = this.#readPage(after)
    // It may fail while nobody waits for it yet.
    page.catch(() => undefined)
    return page
  }

  async #readPage(after: AlertKey | null): Promise<AlertPage> {
    const { signal: stopped } = this.#stopped
    const reader = this.#openReader(this.#signal ? AbortSignal.any([this.#signal, stopped]) : stopped)
    return readPage(reader, { span: this.#span, after, rows: this.#pageSize, offset: 0 })
  }
}
