import { EventEmitter } from 'node:events'
import type { AlertCounts } from './alerts/alert-counters.ts'
import { AlertsNotStoredError, type UnstoredAlert } from './alerts/alerts-not-stored.ts'
import { Ingest } from './alerts/ingest.ts'
import { queryAlerts } from './alerts/query-alerts.ts'
import { insertAuditEntry } from './audit/insert-audit-entry.ts'
import { queryAuditEntries } from './audit/query-audit-entries.ts'
import { TripwireStorageError } from './errors.ts'
import { getHost, listHosts } from './hosts/read-hosts.ts'
import { upsertHost } from './hosts/upsert-host.ts'
import { requireSchema } from './migrate/require-schema.ts'
import type { AlertPage, AlertQuery, AlertReceipt, NewAlert } from './model/alert.ts'
import type { AuditEntry, AuditQuery, NewAuditEntry } from './model/audit-entry.ts'
import type { Host, HostInput } from './model/host.ts'
import type { NewTripwireRule, TripwireRule, TripwireRuleUpdate } from './model/rule.ts'
import { ensurePartition } from './partitions/ensure-partition.ts'
import { Database } from './pg/database.ts'
import { getRule, listRules } from './rules/read-rules.ts'
import { createRule, deleteRule, updateRule } from './rules/write-rules.ts'
import { type ParsedStoreOptions, parseStoreOptions, type StoreOptions } from './store-options.ts'

/** What a store tells while it works. */
export interface StoreEvents {
  /** A flush of the timer failed. The alerts stay in memory, and the timer tries again. */
  flushFailed: [event: { readonly error: unknown; readonly waiting: number }]
  /**
   * A flush of the timer met alerts that the database refuses. The listener has them now. Without a listener the
   * next `flush`, the next call that fills a batch, or `close` throws them.
   */
  alertsRefused: [event: { readonly alerts: readonly UnstoredAlert[] }]
  /** An idle connection died. The pool replaces it when it is needed. */
  connectionLost: [event: { readonly error: unknown }]
}

/** Counts since the store was opened. `accepted` is always the sum of the other alert counts. */
export interface StoreStats extends AlertCounts {
  /** Failed flushes of the timer. */
  readonly failedFlushes: number
  /** The error of the last of them. */
  readonly lastFlushError: unknown
}

/**
 * The storage layer: hosts, alerts, tripwire rules and audit entries on PostgreSQL.
 *
 * ```ts
 * await using store = await Store.open({ connectionString })
 * const hostId = await store.upsertHost({ hostname: 'web-1', status: 'ONLINE' })
 * await store.batchInsertAlerts({ hostId, timestamp: new Date(), tripwireType: 'FILE', ruleName: 'etc-passwd', severity: 'WARN' })
 * ```
 *
 * Every method throws `TripwireStorageError`s: INVALID_INPUT and UNKNOWN_OPTION before anything reaches the database,
 * CONNECTION_FAILED and QUERY_FAILED from it, STORE_CLOSED after `close`.
 */
export class Store extends EventEmitter<StoreEvents> implements AsyncDisposable {
  readonly #db: Database
  readonly #options: ParsedStoreOptions
  readonly #ingest: Ingest
  #failedFlushes = 0
  #lastFlushError: unknown
  #closing: Promise<void> | undefined

  /**
   * Connects and checks that the database is migrated.
   * @throws TripwireStorageError NOT_MIGRATED, SCHEMA_TOO_NEW or MIGRATION_DIRTY; the hint names the command that helps.
   */
  static async open(options: StoreOptions): Promise<Store> {
    const store = new Store(parseStoreOptions(options))
    try {
      await requireSchema(store.#db)
      return store
    } catch (error) {
      await store.#db.close()
      throw error
    }
  }

  private constructor(options: ParsedStoreOptions) {
    super()
    this.#options = options
    this.#db = new Database(options, error => this.emit('connectionLost', { error }))
    this.#ingest = new Ingest(this.#db, {
      ...options,
      ensurePartition: moment => ensurePartition(this.#db, moment),
      onTimerFlushFailed: (error, waiting) => {
        this.#failedFlushes++
        this.#lastFlushError = error
        this.emit('flushFailed', { error, waiting })
      },
      onTimerFlushRefused: alerts => this.emit('alertsRefused', { alerts }),
    })
  }

  /**
   * Takes an alert into the batch. Returns at once, or, when it fills the batch, after the flush.
   * @throws OverloadedError when `maxBufferedAlerts` wait already; the alert was not taken.
   * @throws AlertsNotStoredError with alerts of this or an earlier batch that the database refused.
   * @throws DatabaseError when the flush failed; the alerts stay in memory and are sent again, so do not hand them in again.
   */
  async batchInsertAlerts(alert: NewAlert): Promise<void> {
    this.#refuseWhenClosed()
    return this.#ingest.addToBatch(alert)
  }

  /** Writes every alert that was taken before the call. Throws as `batchInsertAlerts` does. */
  async flush(): Promise<void> {
    this.#refuseWhenClosed()
    return this.#ingest.flush()
  }

  /**
   * Stores alerts now and answers for each, in the order given: `stored`, `duplicate` or `rejected`.
   * @throws DatabaseError when the database could not be asked. The outcome is unknown then; alerts that bring their own
   *   `alertId` can be sent again, any number of times.
   */
  async insertAlerts(alerts: readonly NewAlert[]): Promise<readonly AlertReceipt[]> {
    this.#refuseWhenClosed()
    return this.#ingest.insert(alerts)
  }

  /** A page of alerts, newest first. Only the months between `from` and `to` are read. */
  async queryAlerts(query: AlertQuery): Promise<AlertPage> {
    this.#refuseWhenClosed()
    return queryAlerts(this.#db, query)
  }

  /** Registers a host, or updates the host with this name, whose id stays. Returns the id in effect. */
  async upsertHost(host: HostInput): Promise<string> {
    this.#refuseWhenClosed()
    return upsertHost(this.#db, host)
  }

  /** The host, or `null` when there is none with this id. */
  async getHost(hostId: string): Promise<Host | null> {
    this.#refuseWhenClosed()
    return getHost(this.#db, hostId)
  }

  /** All hosts, ordered by hostname. */
  async listHosts(): Promise<readonly Host[]> {
    this.#refuseWhenClosed()
    return listHosts(this.#db)
  }

  /** Stores a rule and returns it. A rule without a host is global. */
  async createRule(rule: NewTripwireRule): Promise<TripwireRule> {
    this.#refuseWhenClosed()
    return createRule(this.#db, rule)
  }

  /** The rule, or `null` when there is none with this id. */
  async getRule(ruleId: string): Promise<TripwireRule | null> {
    this.#refuseWhenClosed()
    return getRule(this.#db, ruleId)
  }

  /** The rules of a host and the global ones; without a host, all rules. Oldest first. */
  async listRules(hostId?: string): Promise<readonly TripwireRule[]> {
    this.#refuseWhenClosed()
    return listRules(this.#db, hostId)
  }

  /**
   * Replaces every field of a rule that can change, and returns it.
   * @throws NotFoundError
   */
  async updateRule(rule: TripwireRuleUpdate): Promise<TripwireRule> {
    this.#refuseWhenClosed()
    return updateRule(this.#db, rule)
  }

  /** Removes a rule. Returns whether there was one. */
  async deleteRule(ruleId: string): Promise<boolean> {
    this.#refuseWhenClosed()
    return deleteRule(this.#db, ruleId)
  }

  /** Stores an audit entry whose caller keeps the chain, and returns it. */
  async insertAuditEntry(entry: NewAuditEntry): Promise<AuditEntry> {
    this.#refuseWhenClosed()
    return insertAuditEntry(this.#db, entry)
  }

  /** The audit entries of a host within a span of time, in the order of the chain. */
  async queryAuditEntries(query: AuditQuery): Promise<readonly AuditEntry[]> {
    this.#refuseWhenClosed()
    return queryAuditEntries(this.#db, query)
  }

  /** What was taken and what became of it. Works after `close`, too. */
  stats(): StoreStats {
    return {
      ...this.#ingest.counts,
      failedFlushes: this.#failedFlushes,
      lastFlushError: this.#lastFlushError,
    }
  }

  /**
   * Takes no more calls, flushes, and closes the connections, all within `closeTimeoutMs`. Closing twice is fine.
   * @throws AlertsNotStoredError with every alert that was taken and is not known to be stored. They have left memory.
   */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { closeTimeoutMs } = this.#options
    let timer: NodeJS.Timeout | undefined
    const timeIsOver = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const cause = new TripwireStorageError(
          'CONNECTION_FAILED',
          `close took longer than ${closeTimeoutMs} ms`,
        )
        reject(cause)
      }, closeTimeoutMs)
    })
    const flushedAndClosed = this.#ingest.close().finally(() => this.#db.close())
    try {
      await Promise.race([flushedAndClosed, timeIsOver])
    } catch (error) {
      if (error instanceof AlertsNotStoredError) throw error
      flushedAndClosed.catch(() => undefined)
      await this.#db.destroy()
      const unstored = this.#ingest.abandon(error)
      if (unstored.length > 0) throw new AlertsNotStoredError(unstored)
    } finally {
      clearTimeout(timer)
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closing) throw new TripwireStorageError('STORE_CLOSED', 'the store was closed')
  }
}
