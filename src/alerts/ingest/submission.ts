import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { AlertOutcome } from './alert-outcome.ts'

/** The alerts of one call on their way, and what became of each. Settled when each is durable, or when one cannot be. */
export class Submission {
  readonly alerts: readonly AcceptedAlert[]
  readonly done: Promise<readonly AlertOutcome[]>
  readonly #outcomes: AlertOutcome[]
  readonly #settle = Promise.withResolvers<readonly AlertOutcome[]>()
  #open: number

  constructor(alerts: readonly AcceptedAlert[]) {
    this.alerts = alerts
    this.done = this.#settle.promise
    this.#outcomes = new Array<AlertOutcome>(alerts.length)
    this.#open = alerts.length
    if (this.#open === 0) this.#settle.resolve([])
  }

  settle(index: number, outcome: AlertOutcome): void {
    this.#outcomes[index] = outcome
    this.#open--
    if (this.#open === 0) this.#settle.resolve(this.#outcomes)
  }

  /** Parts of the submission may be durable all the same; the caller sends all of it again. */
  fail(error: unknown): void {
    this.#settle.reject(error)
  }
}

/** One alert in the queue, and where it reports to. */
export interface QueuedAlert {
  readonly alert: AcceptedAlert
  readonly submission: Submission
  readonly index: number
}
