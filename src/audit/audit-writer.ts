import type { AuditEntry } from '../model/audit-entry.ts'
import type { TransactionRunner } from '../pg/database.ts'
import { GroupCommit } from './append/group-commit.ts'
import { appendAuditEntries } from './append-audit-entries.ts'
import { insertAuditEntry } from './insert-audit-entry.ts'

export interface AuditWriterOptions {
  /** Of its own, with `APPEND_CONNECTIONS`: a chain that is locked keeps nobody else waiting. */
  readonly appendDb: TransactionRunner
  readonly insertDb: TransactionRunner
  /** How long to try again after a passing error. */
  readonly retryForMs: number
}

/** What a store writes to the audit log, and what of it is still on its way. */
export class AuditWriter {
  readonly #groupCommit: GroupCommit
  readonly #options: AuditWriterOptions
  readonly #inserting = new Set<Promise<AuditEntry>>()
  readonly #stop = new AbortController()

  constructor(options: AuditWriterOptions) {
    this.#options = options
    this.#groupCommit = new GroupCommit(options.appendDb, options)
  }

  append(hostId: unknown, payloads: unknown, options: unknown): Promise<readonly AuditEntry[]> {
    return appendAuditEntries(this.#groupCommit, hostId, payloads, options)
  }

  async insert(entry: unknown): Promise<AuditEntry> {
    const { insertDb, retryForMs } = this.#options
    const inserting = insertAuditEntry(insertDb, entry, { retryForMs, signal: this.#stop.signal })
    this.#inserting.add(inserting)
    try {
      return await inserting
    } finally {
      this.#inserting.delete(inserting)
    }
  }

  /** Resolves when everything that was asked for has its answer. */
  async whenIdle(): Promise<void> {
    await Promise.allSettled([this.#groupCommit.whenIdle(), ...this.#inserting])
  }

  /** Tries nothing again any more. Appends without an answer fail with `cause`; they may be stored all the same. */
  abandon(cause: unknown): void {
    this.#stop.abort()
    this.#groupCommit.abandon(cause)
  }
}
