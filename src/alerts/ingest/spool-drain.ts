import { setTimeout as sleep } from 'node:timers/promises'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { AlertCounters } from './alert-counters.ts'
import type { AlertOutcome } from './alert-outcome.ts'

const BATCH_ALERTS = 1000
const BATCH_BYTES = 4 * 1024 * 1024
const FIRST_PROBE_DELAY_MS = 100
const LONGEST_PROBE_DELAY_MS = 5000

/** What the drain needs of a spool. */
export interface DrainableSpool {
  readonly size: { readonly alerts: number; readonly damaged: number }
  readOldest(
    maxAlerts: number,
    maxBytes: number,
  ): { readonly entries: readonly { readonly sequence: number; readonly alert: AcceptedAlert }[] }
  remove(sequences: readonly number[]): void
}

export interface SpoolDrainOptions {
  readonly counters: AlertCounters
  /** Stores a batch durably. Throws when the database cannot be asked. */
  readonly store: (alerts: readonly AcceptedAlert[]) => Promise<readonly AlertOutcome[]>
  /** Called when a batch got through. */
  readonly onBack: () => void
  /** Called when a batch could not be stored. It stays in the spool, and is tried again. */
  readonly onBatchFailed: (error: unknown) => void
  /** Called when the spool itself fails. The drain stops; what is in the spool stays there for the next start. */
  readonly onFailed: (error: unknown) => void
}

/**
 * Brings what is in the spool into the database, oldest first, one batch at a time: that bounds its rate, and leaves the
 * other connections to fresh alerts. While the database is away it is also the probe that finds it back.
 *
 * A batch leaves the spool after it is stored. A crash in between stores nothing twice: a spooled alert has its
 * `receivedAt`, so it meets the same partition and the same unique index again.
 */
export class SpoolDrain {
  readonly #spool: DrainableSpool
  readonly #options: SpoolDrainOptions
  readonly #stop = new AbortController()
  /** Damage that the counters know of. The spool finds it at any call, also when it takes alerts. */
  #knownDamage: number
  #running: Promise<void> | undefined

  constructor(spool: DrainableSpool, options: SpoolDrainOptions) {
    this.#spool = spool
    this.#options = options
    this.#knownDamage = spool.size.damaged
  }

  /** Starts when there is something to drain and it does not run yet. */
  start(): void {
    if (this.#stop.signal.aborted || this.#running || this.#spool.size.alerts === 0) return
    this.#running = this.#run().then(
      () => {
        this.#running = undefined
        // Alerts may have come after the last look, and found the drain still running.
        this.start()
      },
      error => {
        this.#running = undefined
        if (!this.#stop.signal.aborted) this.#options.onFailed(error)
      },
    )
  }

  /** Stops after the batch that is on its way. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    let delayMs = FIRST_PROBE_DELAY_MS
    while (!this.#stop.signal.aborted && this.#spool.size.alerts > 0) {
      if (await this.#drainBatch()) {
        delayMs = FIRST_PROBE_DELAY_MS
      } else {
        await sleep(delayMs * (0.5 + Math.random() / 2), undefined, { signal: this.#stop.signal })
        delayMs = Math.min(delayMs * 2, LONGEST_PROBE_DELAY_MS)
      }
    }
  }

  /** @returns whether the database could be asked. */
  async #drainBatch(): Promise<boolean> {
    const { entries } = this.#spool.readOldest(BATCH_ALERTS, BATCH_BYTES)
    const { damaged } = this.#spool.size
    this.#options.counters.loseSpooled(damaged - this.#knownDamage)
    this.#knownDamage = damaged
    if (entries.length === 0) return true
    let outcomes: readonly AlertOutcome[]
    try {
      outcomes = await this.#options.store(entries.map(({ alert }) => alert))
    } catch (error) {
      this.#options.onBatchFailed(error)
      return false
    }
    this.#spool.remove(entries.map(({ sequence }) => sequence))
    for (const { kind } of outcomes) if (kind !== 'spooled') this.#options.counters.unspool(kind)
    this.#options.onBack()
    return true
  }
}
