import { isRetryable, OverloadedError, TripwireStorageError } from '../../errors.ts'
import type { AuditEntry } from '../../model/audit-entry.ts'
import type { TransactionRunner } from '../../pg/database.ts'
import { MOST_BYTES, MOST_ENTRIES } from './append-request.ts'
import { type Append, type AppendOutcome, appendToChains } from './append-to-chains.ts'
import { auditTransaction, isLockTimeout, LOCK_ATTEMPTS, LOCK_TIMEOUT_MS } from './audit-transaction.ts'

/** Short, because everybody in the same transaction waits; a chain that is locked for longer is appended to apart. */
const SHARED_LOCK_TIMEOUT_MS = 500
/** How many hosts are appended to apart at once, each on a connection of its own. */
const MOST_APART = 3
/** The connections that appends may take: those apart, and the shared one. */
export const APPEND_CONNECTIONS = MOST_APART + 1

const MOST_WAITING_BYTES = 128 * 1024 * 1024
const RETRY_AFTER_MS = 1000

export interface GroupCommitOptions {
  /** How long to try again after a passing error. */
  readonly retryForMs: number
}

interface WaitingAppend {
  append: Append
  readonly bytes: number
  readonly resolve: (entries: readonly AuditEntry[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * Appends of concurrent callers in shared transactions: what comes while one is under way goes into the next. When a shared one
 * fails because of what is in it, or because the chain of some host is locked by somebody else, each append is tried by itself, and
 * those of other hosts go on meanwhile. The appends to a host are made in the order in which they were asked for.
 */
export class GroupCommit {
  readonly #db: TransactionRunner
  readonly #retryForMs: number
  readonly #stop = new AbortController()
  readonly #waiting = new Set<WaitingAppend>()
  /** Hosts whose appends are tried one by one; what comes for them waits. */
  readonly #apart = new Set<string>()
  readonly #apartTasks: (() => Promise<void>)[] = []
  /** Everything that was asked for and has no answer yet. */
  readonly #unsettled = new Set<WaitingAppend>()
  #bytes = 0
  #isScheduled = false
  #isSharing = false
  #apartRunning = 0
  #abandoned: { readonly cause: unknown } | undefined
  #onIdle: (() => void) | undefined

  constructor(db: TransactionRunner, { retryForMs }: GroupCommitOptions) {
    this.#db = db
    this.#retryForMs = retryForMs
  }

  /** @throws OverloadedError when too much waits already. */
  append(append: Append, bytes: number): Promise<readonly AuditEntry[]> {
    if (this.#abandoned) return Promise.reject(this.#abandoned.cause)
    if (this.#unsettled.size > 0 && this.#bytes + bytes > MOST_WAITING_BYTES) {
      return Promise.reject(new OverloadedError(this.#unsettled.size, RETRY_AFTER_MS, 'audit entries'))
    }
    return new Promise((resolve, reject) => {
      const waiting = { append, bytes, resolve, reject }
      this.#bytes += bytes
      this.#unsettled.add(waiting)
      this.#waiting.add(waiting)
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

  #takeBatch(): WaitingAppend[] {
    const batch: WaitingAppend[] = []
    let entries = 0
    let bytes = 0
    for (const waiting of this.#waiting) {
      const { hostId, payloads } = waiting.append
      if (this.#apart.has(hostId)) continue
      entries += payloads.length
      bytes += waiting.bytes
      if (batch.length > 0 && (entries > MOST_ENTRIES || bytes > MOST_BYTES)) break
      batch.push(waiting)
      this.#waiting.delete(waiting)
    }
    return batch
  }

  async #writeShared(batch: readonly WaitingAppend[]): Promise<void> {
    try {
      await this.#write(batch, SHARED_LOCK_TIMEOUT_MS, 1)
    } catch (error) {
      const concernsAll = isRetryable(error) && !isLockTimeout(error)
      const isAlone = batch.length === 1 && !isLockTimeout(error)
      if (concernsAll || isAlone) for (const waiting of batch) this.#settle(waiting, { error })
      else this.#setApart(batch)
    }
  }

  #setApart(batch: readonly WaitingAppend[]): void {
    for (const [hostId, appends] of Map.groupBy(batch, waiting => waiting.append.hostId)) {
      this.#apart.add(hostId)
      this.#apartTasks.push(async () => {
        for (const waiting of appends) await this.#writeApart(waiting)
        this.#apart.delete(hostId)
      })
    }
    this.#startApart()
  }

  #startApart(): void {
    while (this.#apartRunning < MOST_APART) {
      const task = this.#apartTasks.shift()
      if (!task) return
      this.#apartRunning++
      void task().finally(() => {
        this.#apartRunning--
        this.#startApart()
        this.#startShared()
      })
    }
  }

  async #writeApart(waiting: WaitingAppend): Promise<void> {
    try {
      await this.#write([waiting], LOCK_TIMEOUT_MS, LOCK_ATTEMPTS)
    } catch (error) {
      this.#settle(waiting, { error })
    }
  }

  async #write(batch: readonly WaitingAppend[], lockTimeoutMs: number, lockAttempts: number): Promise<void> {
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
        lockAttempts,
        retryForMs: this.#retryForMs,
        signal: this.#stop.signal,
        onOutcomeUnknown: () => {
          for (const waiting of batch) waiting.append = { ...waiting.append, mayBeStored: true }
        },
      },
    )
    batch.forEach((waiting, index) => {
      const outcome = outcomes[index]
      this.#settle(waiting, outcome ?? { error: new TripwireStorageError('QUERY_FAILED', 'no outcome') })
    })
  }

  #settle(waiting: WaitingAppend, outcome: AppendOutcome): void {
    if (!this.#unsettled.delete(waiting)) return
    this.#waiting.delete(waiting)
    this.#bytes -= waiting.bytes
    if ('error' in outcome) waiting.reject(outcome.error)
    else waiting.resolve(outcome.entries)
    if (this.#unsettled.size === 0) this.#onIdle?.()
  }
}
