import { setTimeout as sleep } from 'node:timers/promises'
import { AlertsNotStoredError, TripwireStorageError } from '../../src/index.ts'
import { parseAlertId } from '../alerts/plan.ts'
import { describeError, failureOf } from './allowed-errors.ts'
import type { WriterContext } from './context.ts'

const IDLE_MS = 20
const REFUSED_MS = 50
/** Without a spool the buffer fills up in an outage; more than this says nothing more. */
const MOST_WAITING = 2000

/** Hands alerts to `batchInsertAlerts`. They are acknowledged when a later `flush`, or the close, succeeds. */
export class BatchSender {
  readonly #context: WriterContext
  /** Taken by the store, and not known to be durable. */
  readonly #waiting = new Set<number>()
  #isClosed = false

  constructor(context: WriterContext) {
    this.#context = context
  }

  /** How many alerts the store has taken that no flush has covered yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  async run(): Promise<void> {
    const { sent, random, mode } = this.#context
    while (mode() !== 'close') {
      if (mode() === 'produce' && this.#waiting.size < MOST_WAITING) {
        const adding = sent.create(random.int(1, 150)).map(number => this.#add(number))
        // At times the flush comes while calls still wait.
        if (random.chance(0.7)) await Promise.all(adding)
        await this.#flush()
        await Promise.all(adding)
        await sleep(random.int(1, 120))
      } else {
        if (this.#waiting.size > 0) await this.#flush()
        await sleep(IDLE_MS)
      }
    }
  }

  /** Everything that was taken is durable now, but for what the error hands back. */
  acknowledgeClose(error: unknown): number {
    const { sent, reportViolation } = this.#context
    this.#isClosed = true
    const handedBack = error instanceof AlertsNotStoredError ? error.alerts : []
    for (const { alert } of handedBack) {
      const number = parseAlertId(alert.alertId)?.number ?? -1
      if (sent.isAcknowledged(number))
        reportViolation(`close handed back alert ${number}, which was acknowledged`)
      this.#waiting.delete(number)
    }
    sent.acknowledge('closed', [...this.#waiting])
    this.#waiting.clear()
    return handedBack.length
  }

  async #add(number: number): Promise<void> {
    const { store, sent, taken, hasSpool, reportViolation } = this.#context
    try {
      await store.batchInsertAlerts(this.#context.alert(number))
    } catch (error) {
      const failure = failureOf(error, hasSpool)
      if (failure === undefined) reportViolation(`batchInsertAlerts failed with ${describeError(error)}`)
      if (failure === 'away') {
        // It filled a batch whose flush failed, and is kept in memory.
        taken.certain(1)
        this.#waiting.add(number)
      } else {
        // OVERLOADED: not taken. SPOOL_FULL, STORE_CLOSED: not taken, or kept. Sending it again is right in any case.
        if (!isOverloaded(error)) taken.doubtful(1)
        sent.sendAgain([number])
      }
      return
    }
    taken.certain(1)
    if (this.#isClosed) reportViolation(`batchInsertAlerts took alert ${number} after the close had ended`)
    this.#waiting.add(number)
  }

  async #flush(): Promise<void> {
    const { store, sent, hasSpool, reportViolation } = this.#context
    const covered = [...this.#waiting]
    try {
      await store.flush()
    } catch (error) {
      if (failureOf(error, hasSpool) === undefined)
        reportViolation(`flush failed with ${describeError(error)}`)
      await sleep(REFUSED_MS)
      return
    }
    // The close may have answered for them in the meantime.
    const open = covered.filter(number => this.#waiting.delete(number))
    sent.acknowledge('flushed', open)
  }
}

function isOverloaded(error: unknown): boolean {
  return error instanceof TripwireStorageError && error.code === 'OVERLOADED'
}
