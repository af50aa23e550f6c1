import { DatabaseError, isRetryable, OverloadedError, TripwireStorageError } from '../../errors.ts'
import type { AuditEntry } from '../../model/audit-entry.ts'
import type { TransactionRunner } from '../../pg/database.ts'
import { SQLSTATE } from '../../pg/sqlstate.ts'
import { type Append, type AppendOutcome, appendToChains } from './append-to-chains.ts'
import { auditTransaction, isLockTimeout } from './audit-transaction.ts'
import { HostLanes, MOST_LANES_AT_ONCE } from './host-lanes.ts'
import { countThatFit, type WaitingAppend } from './waiting-append.ts'

/** Everybody in the same transaction waits. Other processes append as well, so a lock may take a while without any harm. */
const SHARED_LOCK_TIMEOUT_MS = 2000
/** The connections that appends may take: those of the lanes, and the shared one. */
export const APPEND_CONNECTIONS = MOST_LANES_AT_ONCE + 1

const MOST_WAITING_BYTES = 128 * 1024 * 1024
const RETRY_AFTER_MS = 1000

export interface GroupCommitOptions {
  /** How long to try again after a passing error. */
  readonly retryForMs: number
}

/**
 * Appends of concurrent callers in shared transactions: what comes while one is under way goes into the next. When a shared one
 * fails because of what is in it, or because somebody keeps a chain locked, its appends are tried host by host, and those of other
 * hosts go on meanwhile. The appends to a host are made in the order in which they were asked for.
 */
export class GroupCommit {
  readonly #db: TransactionRunner
  readonly #retryForMs: number
  readonly #stop = new AbortController()
  readonly #lanes: HostLanes
  #waiting: WaitingAppend[] = []
  /** Everything that was asked for and has no answer yet. */
  readonly #unsettled = new Set<WaitingAppend>()
  #bytes = 0
  #isScheduled = false
  #isSharing = false
  #abandoned: { readonly cause: unknown } | undefined
  #onIdle: (() => void) | undefined

  constructor(db: TransactionRunner, { retryForMs }: GroupCommitOptions) {
    this.#db = db
    this.#retryForMs = retryForMs
    this.#lanes = new HostLanes({
      write: (batch, lockTimeoutMs) => this.#write(batch, lockTimeoutMs),
      fail: (waiting, error) => this.#settle(waiting, { error }),
      onLaneEnded: () => this.#startShared(),
    })
  }

  /** @throws OverloadedError when too much waits already. */
  append(append: Append, bytes: number): Promise<readonly AuditEntry[]> {
    if (this.#abandoned) return Promise.reject(this.#abandoned.cause)
    if (this.#unsettled.size > 0 && this.#bytes + bytes > MOST_WAITING_BYTES) {
      return Promise.reject(new OverloadedError(this.#unsettled.size, RETRY_AFTER_MS, 'audit entries'))
    }
    return new Promise((resolve, reject) => {
      const waiting = { append, bytes, askedAt: performance.now(), resolve, reject }
      this.#bytes += bytes
      this.#unsettled.add(waiting)
      this.#waiting.push(waiting)
      this.#schedule()
    })
  }

  /** Resolves when everything that was asked for has its answer. */
  async whenIdle(): Promise<void> {
    if (this.#unsettled.size === 0) return
    await new Promise<void>(resolve => {
      this.#onIdle = resolve
    })
  }

  /** Gives up: what has no answer yet fails with `cause`. It may be stored all the same. */
  abandon(cause: unknown): void {
    this.#abandoned = { cause }
    this.#stop.abort()
    for (const waiting of this.#unsettled) this.#settle(waiting, { error: cause })
  }

  /** Callers of one turn of the event loop share a transaction. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#startShared()
    })
  }

  #startShared(): void {
    if (this.#isSharing) return
    const batch = this.#takeBatch()
    if (batch.length === 0) return
    this.#isSharing = true
    void this.#writeShared(batch).finally(() => {
      this.#isSharing = false
      this.#startShared()
    })
  }

  #takeBatch(): readonly WaitingAppend[] {
    const shared: WaitingAppend[] = []
    for (const waiting of this.#waiting) {
      if (this.#lanes.concern(waiting.append.hostId)) this.#lanes.add(waiting)
      else shared.push(waiting)
    }
    const count = countThatFit(shared)
    this.#waiting = shared.slice(count)
    return shared.slice(0, count)
  }

  async #writeShared(batch: readonly WaitingAppend[]): Promise<void> {
    try {
      await this.#write(batch, SHARED_LOCK_TIMEOUT_MS)
    } catch (error) {
      const isLocked = isLockTimeout(error)
      if (!isLocked && (batch.length === 1 || isRetryable(error))) {
        for (const waiting of batch) this.#settle(waiting, { error })
      } else {
        for (const waiting of batch) this.#lanes.add(waiting, !isLocked)
      }
    }
  }

  /** Settles what it writes; when it throws, nothing is settled. */
  async #write(batch: readonly WaitingAppend[], lockTimeoutMs: number): Promise<void> {
    if (this.#abandoned) return
    const outcomes = await auditTransaction(
      this.#db,
      transaction =>
        appendToChains(
          transaction,
          batch.map(waiting => waiting.append),
        ),
      {
        lockTimeoutMs,
        lockAttempts: 1,
        retryForMs: this.#retryForMs,
        signal: this.#stop.signal,
        onOutcomeUnknown: error => {
          for (const waiting of batch) {
            waiting.append = { ...waiting.append, mayBeStored: true }
            waiting.outcomeUnknown = error
          }
        },
      },
    )
    batch.forEach((waiting, index) => {
      const missing = { error: new TripwireStorageError('MALFORMED_ROW', 'an append got no answer') }
      this.#settle(waiting, outcomes[index] ?? missing)
    })
  }

  #settle(waiting: WaitingAppend, outcome: AppendOutcome): void {
    if (!this.#unsettled.delete(waiting)) return
    this.#bytes -= waiting.bytes
    if ('error' in outcome) waiting.reject(reasonOf(outcome.error, waiting))
    else waiting.resolve(outcome.entries)
    if (this.#unsettled.size === 0) this.#onIdle?.()
  }
}

/** A later try that could not be made says nothing of an earlier one, which may have been committed. */
function reasonOf(error: unknown, waiting: WaitingAppend): unknown {
  return isRetryable(error) || isForbidden(error) ? (waiting.outcomeUnknown ?? error) : error
}

function isForbidden(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === SQLSTATE.insufficientPrivilege
}
