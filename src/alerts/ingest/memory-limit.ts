import { OverloadedError } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'

export interface MemoryLimitOptions {
  readonly maxAlerts: number
  readonly maxBytes: number
  /** How long a caller waits for room. */
  readonly waitMs: number
}

interface Waiter {
  readonly alerts: number
  readonly bytes: number
  readonly admit: () => void
  readonly refuse: (reason: unknown) => void
}

/** The objects of an alert: about 200 bytes beside its text, which takes at most two bytes a UTF-16 unit. */
const FIXED_BYTES = 256

export function bytesInMemory(alert: AcceptedAlert): number {
  return FIXED_BYTES + 2 * (alert.ruleName.length + (alert.eventDetail?.text.length ?? 0))
}

/**
 * How many alerts may be in memory, in number and in bytes. Callers beyond that wait in the order in which they came.
 * A single request larger than the whole limit is admitted when nothing else is there.
 */
export class MemoryLimit {
  readonly #options: MemoryLimitOptions
  readonly #waiters: Waiter[] = []
  #alerts = 0
  #bytes = 0
  #refusal: { readonly reason: unknown } | undefined

  constructor(options: MemoryLimitOptions) {
    this.#options = options
  }

  /** Takes the room at once, or returns false. */
  tryReserve(alerts: number, bytes: number): boolean {
    if (this.#waiters.length > 0 || !this.#fits(alerts, bytes)) return false
    this.#take(alerts, bytes)
    return true
  }

  /**
   * Waits for the room.
   * @throws OverloadedError when it was not to be had in time, or the reason given to `refuseWaiters`.
   */
  async reserve(alerts: number, bytes: number): Promise<void> {
    if (this.tryReserve(alerts, bytes)) return
    if (this.#refusal) throw this.#refusal.reason
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        alerts,
        bytes,
        admit: () => {
          clearTimeout(timer)
          resolve()
        },
        refuse: reason => {
          clearTimeout(timer)
          reject(reason)
        },
      }
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
        reject(new OverloadedError(this.#alerts, this.#options.waitMs))
        this.#admitWaiters()
      }, this.#options.waitMs)
      this.#waiters.push(waiter)
    })
  }

  /** Nobody waits any more: neither those that do now, nor those that would have to. */
  refuseWaiters(reason: unknown): void {
    this.#refusal = { reason }
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(reason)
  }

  release(alerts: number, bytes: number): void {
    this.#alerts -= alerts
    this.#bytes -= bytes
    this.#admitWaiters()
  }

  #admitWaiters(): void {
    for (
      let first = this.#waiters[0];
      first && this.#fits(first.alerts, first.bytes);
      first = this.#waiters[0]
    ) {
      this.#waiters.shift()
      this.#take(first.alerts, first.bytes)
      first.admit()
    }
  }

  #fits(alerts: number, bytes: number): boolean {
    if (this.#alerts === 0) return true
    return this.#alerts + alerts <= this.#options.maxAlerts && this.#bytes + bytes <= this.#options.maxBytes
  }

  #take(alerts: number, bytes: number): void {
    this.#alerts += alerts
    this.#bytes += bytes
  }
}
