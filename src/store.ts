import { EventEmitter } from 'node:events'
import { alertTimeline } from './alerts/counts/alert-timeline.ts'
import { checkAlertCounts } from './alerts/counts/check-alert-counts.ts'
import { rollUpAlertHours } from './alerts/counts/roll-up-alert-hours.ts'
import { topAlertHosts, topAlertRules } from './alerts/counts/top-alerts.ts'
import { discardDeadLetters } from './alerts/dead-letters/discard-dead-letters.ts'
import { listDeadLetters } from './alerts/dead-letters/list-dead-letters.ts'
import { Ingest } from './alerts/ingest/ingest.ts'
import { AlertStream } from './alerts/query/alert-stream.ts'
import { getAlert } from './alerts/query/get-alert.ts'
import { queryAlerts } from './alerts/query/query-alerts.ts'
import { AlertTails } from './alerts/tail/alert-tails.ts'
import { FlushNotifier } from './alerts/tail/flush-notifier.ts'
import { pruneJournal } from './alerts/tail/prune-journal.ts'
import { APPEND_CONNECTIONS } from './audit/append/group-commit.ts'
import { AuditWriter } from './audit/audit-writer.ts'
import { callSignal } from './audit/call-signal.ts'
import { createCheckpoint } from './audit/checkpoint/create-checkpoint.ts'
import { exportEvidence } from './audit/evidence/export-evidence.ts'
import { pruneChain } from './audit/pruning/prune-chain.ts'
import { queryAuditEntries } from './audit/query-audit-entries.ts'
import { verifyAuditChain } from './audit/verify/verify-audit-chain.ts'
import { InvalidInputError, TripwireStorageError } from './errors.ts'
import { getHost, listHosts } from './hosts/read-hosts.ts'
import { upsertHost } from './hosts/upsert-host.ts'
import { requireSchema } from './migrate/require-schema.ts'
import type {
  Alert,
  AlertLookup,
  AlertPage,
  AlertQuery,
  AlertReceipt,
  AlertStreamQuery,
  NewAlert,
} from './model/alert.ts'
import type {
  AlertCountCheck,
  AlertRollUp,
  AlertTimelineBucket,
  AlertTimelineQuery,
  CheckAlertCountsOptions,
  HostAlertCount,
  RuleAlertCount,
  TopAlertsQuery,
} from './model/alert-counts.ts'
import type { AlertTail, AlertTailOptions } from './model/alert-tail.ts'
import type { AuditCheckpoint, AuditCheckpointOptions } from './model/audit-checkpoint.ts'
import type { AppendAuditOptions, AuditEntry, AuditQuery, NewAuditEntry } from './model/audit-entry.ts'
import type {
  AuditEvidence,
  AuditEvidenceOptions,
  AuditPruneOptions,
  AuditPruning,
} from './model/audit-evidence.ts'
import type { AuditVerification, VerifyAuditOptions } from './model/audit-verification.ts'
import { CALL_OPTIONS, type CallOptions, parseCallOptions } from './model/call-options.ts'
import type { DeadLetter, DeadLetterFilter, RedriveReport } from './model/dead-letter.ts'
import type { Host, HostInput } from './model/host.ts'
import { parseBoolean, parseObject, parseOneOf } from './model/input.ts'
import {
  type AlertPartition,
  DETAIL_INDEX_MONTHS,
  type DetailIndexMonths,
  type DetailIndexReport,
  type DueMonth,
  type EnsuredPartition,
  type MaintenanceReport,
  type MendReport,
  type RetentionOptions,
  type RetentionReport,
} from './model/partition.ts'
import type { JsonValue, RawJson } from './model/raw-json.ts'
import type { NewTripwireRule, RuleChangeOptions, TripwireRule, TripwireRuleUpdate } from './model/rule.ts'
import { DetailIndexer } from './partitions/detail-indexer.ts'
import { ensurePartition, prepareMonth } from './partitions/ensure-partition.ts'
import { ensurePartitionsOrThrow } from './partitions/ensure-partitions.ts'
import { ENOUGH_BYTES, indexDetails } from './partitions/index-details.ts'
import { listPartitions } from './partitions/list-partitions.ts'
import { maintain, retainOnce } from './partitions/maintain.ts'
import { MaintenanceService } from './partitions/maintenance-service.ts'
import { mendOnce } from './partitions/mend-partitions.ts'
import { type RestoredPartition, restorePartition } from './partitions/restore-partition.ts'
import { planDueMonths } from './partitions/retention/apply-retention.ts'
import { parseRetention } from './partitions/retention/retention-policy.ts'
import { type CallLimits, withinLimits } from './pg/call-limits.ts'
import { Database, type QueryRunner } from './pg/database.ts'
import { getRule, listRules } from './rules/read-rules.ts'
import { createRule, deleteRule, updateRule } from './rules/write-rules.ts'
import { Spool } from './spool/spool.ts'
import type { CloseReport, StoreEvents, StoreStats } from './store-events.ts'
import { observeStore, type StoreMetrics } from './store-metrics.ts'
import {
  DEFAULT_DETAIL_INDEX_MONTHS,
  type ParsedStoreOptions,
  parseStoreOptions,
  type StoreOptions,
} from './store-options.ts'
import { within } from './within.ts'

/** Of the maintenance: one holds its lock, one works; the others are for calls that come meanwhile. */
const MAINTENANCE_CONNECTIONS = 4
/** Of the tails: each asks for a moment at a time. */
const TAIL_CONNECTIONS = 4
/** Of the time that `close` has, for the flush. The rest is for the spool and the connections. */
const FLUSH_SHARE = 0.8

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
 * CONNECTION_FAILED and QUERY_FAILED from it, STORE_CLOSED after `close`. What reads takes `CallOptions`: a signal, whose reason
 * it throws, and `timeoutMs`, after which it throws TIMEOUT.
 */
export class Store extends EventEmitter<StoreEvents> implements AsyncDisposable {
  readonly #db: Database
  /** Apart, so that a dashboard's queries never keep alerts waiting. */
  readonly #writerDb: Database
  readonly #options: ParsedStoreOptions
  /** Apart, and without a limit of time: an archive takes as long as it takes. */
  readonly #maintenanceDb: Database
  readonly #maintenance: MaintenanceService
  readonly #detailIndexer: DetailIndexer | undefined
  readonly #schemaVersion: number
  readonly #spool: Spool | undefined
  readonly #ingest: Ingest
  /** Apart, so that a chain that somebody locks keeps no alerts and no queries waiting. */
  readonly #auditDb: Database
  readonly #audit: AuditWriter
  /** Apart, so that many tails keep no query waiting. */
  readonly #tailDb: Database
  readonly #tails: AlertTails
  readonly #flushNotifier: FlushNotifier
  readonly #metrics: StoreMetrics
  #lastFlushError: unknown
  #closing: Promise<CloseReport> | undefined

  /**
   * Connects and checks that the database is migrated.
   * @throws TripwireStorageError NOT_MIGRATED, SCHEMA_TOO_NEW or MIGRATION_DIRTY; the hint names the command that helps.
   *   SPOOL_IN_USE or SPOOL_FAILED, where there is a spool.
   */
  static async open(options: StoreOptions): Promise<Store> {
    const parsed = parseStoreOptions(options)
    const db = new Database({ ...parsed, statementTimeoutMs: parsed.connectTimeoutMs })
    try {
      return new Store(parsed, await requireSchema(db))
    } finally {
      await db.close()
    }
  }

  private constructor(options: ParsedStoreOptions, schemaVersion: number) {
    super()
    this.#options = options
    this.#schemaVersion = schemaVersion
    const onIdleError = (error: unknown) => this.emit('connectionLost', { error })
    this.#db = new Database(options, onIdleError)
    this.#writerDb = new Database(
      {
        ...options,
        // One more than batches on their way: for the drain of the spool.
        maxConnections: options.writerConnections + 1,
        statementTimeoutMs: options.writeTimeoutMs,
      },
      onIdleError,
    )
    this.#maintenanceDb = new Database({ ...options, maxConnections: MAINTENANCE_CONNECTIONS }, onIdleError)
    const appendOptions = { maxConnections: APPEND_CONNECTIONS, statementTimeoutMs: options.writeTimeoutMs }
    this.#auditDb = new Database({ ...options, ...appendOptions }, onIdleError)
    this.#audit = new AuditWriter({ ...options, appendDb: this.#auditDb, insertDb: this.#db })
    this.#tailDb = new Database({ ...options, maxConnections: TAIL_CONNECTIONS }, onIdleError)
    this.#tails = new AlertTails({ ...options, db: this.#tailDb })
    this.#flushNotifier = new FlushNotifier(this.#db)
    this.#maintenance = new MaintenanceService({
      intervalMs: options.maintenanceIntervalMs,
      maintain: signal =>
        maintain(this.#maintenanceDb, {
          ...options,
          schemaVersion,
          signal,
          rollUpAlerts: async () => {
            await rollUpAlertHours(this.#maintenanceDb, signal)
          },
          pruneJournal: () => pruneJournal(this.#maintenanceDb, options.tailKeepHours),
        }),
      onFinished: report => this.emit('maintenanceFinished', report),
      onFailed: error => this.emit('maintenanceFailed', { error }),
      onTimerRun: () => this.#detailIndexer?.start(),
    })
    this.#detailIndexer = this.#makeDetailIndexer(options.detailIndexMonths)
    this.#spool = openSpool(options)
    this.#metrics = observeStore(
      () => this.#ingest.counts,
      () => this.#maintenance.status,
    )
    this.#ingest = new Ingest(this.#writerDb, {
      ...options,
      spool: this.#spool,
      flushListener: {
        recordFlush: (alerts, durationMs) => {
          this.#metrics.recordFlush(alerts, durationMs)
          if (options.notifyTails) this.#flushNotifier.notify()
        },
        recordRetry: () => this.#metrics.recordRetry(),
      },
      prepareMonth: moment => prepareMonth(this.#writerDb, moment),
      ensurePartition: moment => ensurePartition(this.#writerDb, moment),
      onTimerFlushFailed: (error, waiting) => {
        this.#lastFlushError = error
        this.emit('flushFailed', { error, waiting })
      },
      onDeadLettered: alerts => this.emit('alertsDeadLettered', { alerts }),
      onAway: error => this.emit('databaseAway', { error }),
      onBack: () => this.emit('databaseBack'),
      onSpoolFailed: error => this.emit('spoolFailed', { error }),
    })
    this.#ingest.start()
    this.#maintenance.start()
  }

  /**
   * Takes an alert into the batch. Returns at once, or, when it fills the batch, after the flush.
   * @throws InvalidInputError, OverloadedError: the alert was not taken.
   * @throws DatabaseError when the flush failed, SPOOL_FULL or SPOOL_FAILED when the spool did not take what the database
   *   could not: the alerts stay in memory and are sent again, so there is no need to hand them in again.
   */
  async batchInsertAlerts(alert: NewAlert): Promise<void> {
    this.#refuseWhenClosed()
    return this.#ingest.addToBatch(alert)
  }

  /** Makes every alert durable that was taken before the call. Throws as `batchInsertAlerts` does. */
  async flush(): Promise<void> {
    this.#refuseWhenClosed()
    return this.#ingest.flush()
  }

  /**
   * Makes alerts durable and answers for each, in the order given: `stored`, `duplicate`, `spooled`, or `rejected` and kept as
   * a dead letter. Many callers share one commit.
   * @throws OverloadedError when there was no room in memory in time; of a list of more than 1,000, a part may be stored.
   * @throws DatabaseError when the database could not be asked, and there is no spool. The outcome is unknown then; alerts
   *   that bring their own `alertId` can be sent again, any number of times.
   */
  async insertAlerts(alerts: readonly NewAlert[]): Promise<readonly AlertReceipt[]> {
    this.#refuseWhenClosed()
    if (!Array.isArray(alerts)) throw new InvalidInputError('alerts', alerts, 'a list of alerts')
    return this.#ingest.insert(alerts)
  }

  /** The alerts that the database refused, oldest first, with the reasons. */
  async listDeadLetters(
    filter: DeadLetterFilter = {},
    options: CallOptions = {},
  ): Promise<readonly DeadLetter[]> {
    return listDeadLetters(this.#reader(options), filter)
  }

  /** Hands dead letters in again, for example after their host was registered. What is stored now is no dead letter any more. */
  async redriveDeadLetters(filter: DeadLetterFilter = {}): Promise<RedriveReport> {
    this.#refuseWhenClosed()
    return this.#ingest.redrive(filter)
  }

  /** Deletes dead letters for good. Returns how many. */
  async discardDeadLetters(filter: DeadLetterFilter): Promise<number> {
    this.#refuseWhenClosed()
    return discardDeadLetters(this.#db, filter)
  }

  /**
   * A page of alerts, newest or oldest first. It costs the same at any depth, when the pages before were read with their cursors.
   *
   * ```ts
   * const { alerts, nextCursor } = await store.queryAlerts({ severity: ['WARN', 'CRITICAL'], limit: 50 })
   * ```
   */
  async queryAlerts(query: AlertQuery, options: CallOptions = {}): Promise<AlertPage> {
    return queryAlerts(this.#reader(options), query)
  }

  /** The alert with this id, whatever its month, or `null` when there is none. */
  async getAlert(alertId: string, options: AlertLookup = {}): Promise<Alert | null> {
    const { hostId, ...callOptions } = options
    return getAlert(this.#reader(callOptions), alertId, hostId)
  }

  /**
   * Any number of alerts one after another, in flat memory. Nothing is held between two pages, so a consumer may be slow; leaving
   * the loop stops what runs. The time limit is that of one page.
   *
   * ```ts
   * for await (const alert of store.streamAlerts({ from, to, order: 'oldest' })) …
   * ```
   *
   * Its `next` throws what `queryAlerts` would; its `cursor` says where another stream can go on.
   * @throws InvalidInputError
   */
  streamAlerts(query: AlertStreamQuery, options: CallOptions = {}): AlertStream {
    const { signal, timeoutMs } = this.#limitsOf(options)
    return new AlertStream(query, signal, stop => this.#reader({ signal: stop, timeoutMs }))
  }

  /**
   * Follows alerts: first what was committed since `after`, then what is committed from now on. Each alert comes once, whatever the order
   * in which writers commit, and across lost connections; with a `resumeToken` also across restarts. A transaction that committed before
   * another one began to write comes before it.
   *
   * ```ts
   * for await (const { alert, resumeToken } of store.tailAlerts({ filter: { severity: 'CRITICAL' } })) …
   * ```
   *
   * Its `next` throws TAIL_EXPIRED when the place cannot be reached any more, and STORE_CLOSED after `close`.
   * @throws InvalidInputError
   */
  tailAlerts(options: AlertTailOptions = {}): AlertTail {
    this.#refuseWhenClosed()
    return this.#tails.open(options)
  }

  /**
   * How many alerts were received in each minute, hour, day, week or month (UTC), in order, with the empty ones. Exact at every moment: hours
   * that are over come from counts that writers keep exact, everything else from the alerts.
   *
   * ```ts
   * const buckets = await store.alertTimeline({ from, to, bucket: 'hour', groupBy: 'severity' })
   * ```
   */
  async alertTimeline(
    query: AlertTimelineQuery,
    options: CallOptions = {},
  ): Promise<readonly AlertTimelineBucket[]> {
    return alertTimeline(this.#db, query, this.#limitsOf(options))
  }

  /** The hosts with the most alerts, the most first; as exact as `alertTimeline`. */
  async topAlertHosts(query: TopAlertsQuery, options: CallOptions = {}): Promise<readonly HostAlertCount[]> {
    return topAlertHosts(this.#db, query, this.#limitsOf(options))
  }

  /** The rules with the most alerts, the most first; as exact as `alertTimeline`. */
  async topAlertRules(query: TopAlertsQuery, options: CallOptions = {}): Promise<readonly RuleAlertCount[]> {
    return topAlertRules(this.#db, query, this.#limitsOf(options))
  }

  /**
   * Counts closed hours again from the alerts, and compares: each day in one snapshot, while writers go on. What
   * differs is no error but a finding; with `reopen`, such hours are read from then on, and counted anew by the next maintenance.
   */
  async checkAlertCounts(
    options: CheckAlertCountsOptions = {},
    callOptions: Pick<CallOptions, 'signal'> = {},
  ): Promise<AlertCountCheck> {
    const { signal } = this.#limitsOf(callOptions)
    return checkAlertCounts(this.#maintenanceDb, options, { signal: callSignal(signal, this.#maintenance) })
  }

  /**
   * What the maintenance does by itself, now: counts the alerts of hours that are over, the newest first, for a minute at the most. What was
   * counted before the signal stays.
   */
  async rollUpAlertCounts(options: Pick<CallOptions, 'signal'> = {}): Promise<AlertRollUp> {
    const { signal } = this.#limitsOf(options)
    return withinLimits({ signal }, stop =>
      rollUpAlertHours(this.#maintenanceDb, AbortSignal.any([stop, this.#maintenance.signal])),
    )
  }

  /** Registers a host, or updates the host with this name, whose id stays. Returns the id in effect. */
  async upsertHost(host: HostInput): Promise<string> {
    this.#refuseWhenClosed()
    return upsertHost(this.#db, host)
  }

  /** The host, or `null` when there is none with this id. */
  async getHost(hostId: string, options: CallOptions = {}): Promise<Host | null> {
    return getHost(this.#reader(options), hostId)
  }

  /** All hosts, ordered by hostname. */
  async listHosts(options: CallOptions = {}): Promise<readonly Host[]> {
    return listHosts(this.#reader(options))
  }

  /** Stores a rule and returns it. A rule without a host is global. With an `actor`, the audit log tells. */
  async createRule(rule: NewTripwireRule, options: RuleChangeOptions = {}): Promise<TripwireRule> {
    this.#refuseWhenClosed()
    return createRule(this.#db, rule, options)
  }

  /** The rule, or `null` when there is none with this id. */
  async getRule(ruleId: string, options: CallOptions = {}): Promise<TripwireRule | null> {
    return getRule(this.#reader(options), ruleId)
  }

  /** The rules of a host and the global ones; without a host, all rules. Oldest first. */
  async listRules(hostId?: string, options: CallOptions = {}): Promise<readonly TripwireRule[]> {
    return listRules(this.#reader(options), hostId)
  }

  /**
   * Replaces every field of a rule that can change, and returns it. With an `actor`, the audit log tells what it was before.
   * @throws NotFoundError
   */
  async updateRule(rule: TripwireRuleUpdate, options: RuleChangeOptions = {}): Promise<TripwireRule> {
    this.#refuseWhenClosed()
    return updateRule(this.#db, rule, options)
  }

  /** Removes a rule. Returns whether there was one. With an `actor`, the audit log tells what it was. */
  async deleteRule(ruleId: string, options: RuleChangeOptions = {}): Promise<boolean> {
    this.#refuseWhenClosed()
    return deleteRule(this.#db, ruleId, options)
  }

  /**
   * Appends entries to the audit chain of a host, all or none, and returns them: number, time and hashes are assigned here, under a
   * lock of the chain. Concurrent calls share a commit. Up to 10,000 payloads and 16 MiB in one call.
   *
   * ```ts
   * const [entry] = await store.appendAuditEntries(hostId, [{ action: 'isolate-host', actor: 'zoe' }])
   * ```
   *
   * @throws OverloadedError when too much waits for the database: nothing was taken.
   * @throws DatabaseError UNKNOWN_HOST; CONNECTION_FAILED when the outcome is unknown: with `entryIds` the call can be repeated.
   */
  async appendAuditEntries(
    hostId: string,
    payloads: readonly (RawJson | JsonValue)[],
    options: AppendAuditOptions = {},
  ): Promise<readonly AuditEntry[]> {
    this.#refuseWhenClosed()
    return this.#audit.append(hostId, payloads, options)
  }

  /**
   * Stores an audit entry whose caller keeps the chain, with hashes of its own scheme, and returns it. The same entry again is left
   * alone, and returned.
   * @throws AuditNotContinuedError when it does not continue the chain: a gap, a fork, or another previous hash.
   */
  async insertAuditEntry(entry: NewAuditEntry): Promise<AuditEntry> {
    this.#refuseWhenClosed()
    return this.#audit.insert(entry)
  }

  /** The audit entries of a host within a span of time, in the order of the chain. */
  async queryAuditEntries(query: AuditQuery, options: CallOptions = {}): Promise<readonly AuditEntry[]> {
    return queryAuditEntries(this.#reader(options), query)
  }

  /**
   * Verifies the audit chain of a host, or all chains, as they stand at one moment. Takes as long as reading them, and no more
   * memory for more entries. Writers go on meanwhile.
   *
   * ```ts
   * const { verdict, findings, notChecked } = await store.verifyAuditChain({ checkpoint: 'now.checkpoint', key: 'audit.pub' })
   * ```
   *
   * Damage is not thrown: it stands in `findings`. What could not be read makes the verdict `cannot-tell`.
   * @throws TripwireStorageError AUDIT_KEY_UNUSABLE. DatabaseError CONNECTION_FAILED. The reason of the signal.
   */
  async verifyAuditChain(options: VerifyAuditOptions = {}): Promise<AuditVerification> {
    this.#refuseWhenClosed()
    return verifyAuditChain(this.#maintenanceDb, options, { signal: this.#maintenance.signal })
  }

  /**
   * Signs the newest entries of all chains, once everything that is new since the earlier checkpoint is verified and each head of that
   * one is found again, all in one snapshot. Writes the signed note and the heads to `out`, to `folder`, or to both; never over a file.
   *
   * ```ts
   * await store.createAuditCheckpoint({ key: '/etc/tripwire/audit-key', folder: '/var/lib/tripwire/checkpoints' })
   * ```
   * @throws AuditDamagedError with the findings: nothing was signed.
   * @throws TripwireStorageError AUDIT_KEY_UNUSABLE; AUDIT_CHECKPOINT_INVALID, AUDIT_CHECKPOINT_UNVERIFIED: the earlier one cannot be
   *   trusted; AUDIT_FILE_FAILED. The reason of the signal.
   */
  async createAuditCheckpoint(options: AuditCheckpointOptions): Promise<AuditCheckpoint> {
    this.#refuseWhenClosed()
    return createCheckpoint(this.#maintenanceDb, options, { signal: this.#maintenance.signal })
  }

  /**
   * Writes entries of a host as a bundle that `verifyAuditEvidence` checks without the database: the entries, the hashes that lead from
   * them to the head that a checkpoint signed, and the proof that the head is in it. What does not verify is not written.
   *
   * ```ts
   * await store.exportAuditEvidence({ hostId, checkpoint: 'now.checkpoint', key: 'audit.key.pub', out: 'web-1.evidence' })
   * ```
   * @throws InvalidInputError, also when no entry lies in the span. TripwireStorageError AUDIT_DAMAGED, AUDIT_NOT_PROVABLE,
   *   AUDIT_CHECKPOINT_…, AUDIT_KEY_UNUSABLE, AUDIT_FILE_FAILED. The reason of the signal.
   */
  async exportAuditEvidence(options: AuditEvidenceOptions): Promise<AuditEvidence> {
    this.#refuseWhenClosed()
    return exportEvidence(this.#maintenanceDb, options, { signal: this.#maintenance.signal })
  }

  /**
   * Deletes the oldest entries of a chain, up to the last one of a bundle that verifies and holds the same entries. A signed manifest stands
   * for them from then on, and an entry at the end of the chain tells who did it. The rest of the chain stays verifiable.
   * @throws TripwireStorageError AUDIT_DAMAGED when the bundle or the chain does not verify, or they differ: nothing is deleted.
   *   The reason of the signal, and then nothing is deleted, either. DatabaseError CONNECTION_FAILED: it may be done.
   */
  async pruneAuditChain(options: AuditPruneOptions): Promise<AuditPruning> {
    this.#refuseWhenClosed()
    return pruneChain(this.#maintenanceDb, options, { signal: this.#maintenance.signal })
  }

  /** Every partition of alerts, and the months that are on their way out. Oldest first. */
  async listPartitions(options: CallOptions = {}): Promise<readonly AlertPartition[]> {
    return listPartitions(this.#reader(options))
  }

  /**
   * Makes this month's partition and those of `monthsAhead` months more (3 by default, 0 to 120). Writers go on meanwhile.
   * @throws DatabaseError of the first month that could not be made. The others are there.
   */
  async ensurePartitions(
    options: { readonly monthsAhead?: number | undefined } = {},
  ): Promise<readonly EnsuredPartition[]> {
    this.#refuseWhenClosed()
    return ensurePartitionsOrThrow(this.#maintenanceDb, options)
  }

  /**
   * What the store does by itself every `maintenanceIntervalMs`, now: makes months ahead, finishes detachments that were cut,
   * completes months that were made by hand, applies the store's `retention`, counts alerts and prunes the journal of tails. What fails
   * stands in the report. Indexes of details are another matter: `indexAlertDetails`.
   */
  async runMaintenance(): Promise<MaintenanceReport> {
    this.#refuseWhenClosed()
    return this.#maintenance.runOnce()
  }

  /**
   * The mending part of the maintenance: finishes detachments that were cut, and completes months that were made by hand. Where
   * an alert stands in such a month twice, that needs `removeDuplicates` (false by default): the first stays, a copy with other
   * content becomes a dead letter.
   */
  async mendPartitions(options: { readonly removeDuplicates?: boolean } = {}): Promise<MendReport> {
    this.#refuseWhenClosed()
    const given = parseObject('options', options, ['removeDuplicates'])
    const removeDuplicates = parseBoolean('options.removeDuplicates', given.removeDuplicates ?? false)
    return mendOnce(this.#maintenanceDb, { removeDuplicates, signal: this.#maintenance.signal })
  }

  /**
   * Builds the indexes by which `detail` finds alerts, of `closed` months, which ended a day ago or earlier (by default), or of `every`
   * one. With a `maintenanceIntervalMs`, the store does it by `detailIndexMonths` in the background, for about a gibibyte of months each
   * time. Writers go on. It waits for transactions that are open in the database. What was cut is built anew by the next call.
   */
  async indexAlertDetails(
    options: { readonly months?: DetailIndexMonths | undefined } = {},
  ): Promise<DetailIndexReport> {
    this.#refuseWhenClosed()
    const given = parseObject('options', options, ['months'])
    const months = parseOneOf(
      'options.months',
      given.months ?? DEFAULT_DETAIL_INDEX_MONTHS,
      DETAIL_INDEX_MONTHS,
    )
    return indexDetails(this.#maintenanceDb, { months, signal: this.#maintenance.signal })
  }

  /** Which months `applyRetention` would take out now, oldest first. Changes nothing. */
  async planRetention(options: RetentionOptions): Promise<readonly DueMonth[]> {
    this.#refuseWhenClosed()
    return planDueMonths(this.#db, parseRetention('options', options))
  }

  /**
   * Takes out the months that are due: detaches each, archives it, verifies the archive against the table, and drops it. Cut
   * off at any moment and called again, it continues. What fails stands in the report, and does not stop the other months.
   *
   * ```ts
   * const { retired, failures } = await store.applyRetention({ keepMonths: 12, archiveDir: '/var/lib/tripwire/archive' })
   * ```
   */
  async applyRetention(options: RetentionOptions): Promise<RetentionReport> {
    this.#refuseWhenClosed()
    return retainOnce(this.#maintenanceDb, parseRetention('options', options), {
      schemaVersion: this.#schemaVersion,
      signal: this.#maintenance.signal,
    })
  }

  /**
   * Brings a month back from its archive, the same rows byte for byte. Retention leaves it alone from then on.
   * @param manifestPath the manifest, which stands beside the archive's file.
   * @throws TripwireStorageError ARCHIVE_MISMATCH when the archive is not what its manifest says, MONTH_EXISTS, UNKNOWN_HOST.
   */
  async restorePartition(manifestPath: string): Promise<RestoredPartition> {
    this.#refuseWhenClosed()
    return restorePartition(this.#maintenanceDb, manifestPath, { signal: this.#maintenance.signal })
  }

  /** What was taken and what became of it. Works after `close`, too. */
  stats(): StoreStats {
    return {
      ...this.#ingest.counts,
      ...this.#ingest.flushStats,
      spoolDamaged: this.#spool?.size.damaged ?? 0,
      lastFlushError: this.#lastFlushError,
      maintenance: this.#maintenance.status,
    }
  }

  /**
   * Takes no more calls, makes durable what was taken, and closes the connections, all within `closeTimeoutMs`: what the
   * database does not take in time goes into the spool. Closing twice is fine.
   * @throws AlertsNotStoredError with every alert that was taken and is not known to be durable. They have left memory.
   */
  async close(): Promise<CloseReport> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<CloseReport> {
    const { closeTimeoutMs } = this.#options
    const startedAt = performance.now()
    const maintenanceStopped = Promise.all([this.#maintenance.stop(), this.#detailIndexer?.settled()])
    this.#flushNotifier.stop()
    const tailsClosed = this.#tails.close()
    const auditWritten = this.#finishAudit(closeTimeoutMs * FLUSH_SHARE)
    try {
      await within(closeTimeoutMs * FLUSH_SHARE, 'the last flush', this.#ingest.close())
    } catch (error) {
      this.#writerDb.destroy()
      await this.#ingest.abandon(error)
    } finally {
      this.#spool?.close()
      this.#metrics.stop()
      await auditWritten
      const leftMs = Math.max(closeTimeoutMs - (performance.now() - startedAt), 1)
      const databases = [this.#db, this.#writerDb, this.#maintenanceDb, this.#auditDb, this.#tailDb]
      const closed = Promise.all([
        maintenanceStopped,
        tailsClosed,
        ...databases.map(database => database.close()),
      ])
      await within(leftMs, 'closing the connections', closed).catch(() => {
        for (const database of databases) database.destroy()
      })
    }
    return this.#ingest.counts
  }

  async #finishAudit(timeoutMs: number): Promise<void> {
    try {
      await within(timeoutMs, 'the last audit entries', this.#audit.whenIdle())
    } catch (error) {
      this.#auditDb.destroy()
      this.#audit.abandon(error)
    }
  }

  /** For what reads: within the limits of a call. */
  #reader(options: CallOptions): QueryRunner {
    return this.#db.withLimits(this.#limitsOf(options))
  }

  #limitsOf(options: CallOptions): CallLimits {
    this.#refuseWhenClosed()
    const given = parseCallOptions('options', parseObject('options', options, CALL_OPTIONS))
    return { ...given, timeoutMs: given.timeoutMs ?? this.#options.queryTimeoutMs }
  }

  #makeDetailIndexer(months: ParsedStoreOptions['detailIndexMonths']): DetailIndexer | undefined {
    if (months === 'none') return undefined
    const { signal } = this.#maintenance
    return new DetailIndexer({
      index: () => indexDetails(this.#maintenanceDb, { months, signal, enoughBytes: ENOUGH_BYTES }),
      onFinished: report => this.emit('detailsIndexed', report),
      onFailed: error => {
        if (!signal.aborted) this.emit('maintenanceFailed', { error })
      },
    })
  }

  #refuseWhenClosed(): void {
    if (this.#closing) throw new TripwireStorageError('STORE_CLOSED', 'the store was closed')
  }
}

function openSpool({ spoolDir, spoolMaxBytes }: ParsedStoreOptions): Spool | undefined {
  return spoolDir === undefined ? undefined : Spool.open({ folder: spoolDir, maxBytes: spoolMaxBytes })
}
