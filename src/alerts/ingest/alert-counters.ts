import type { AlertOutcome } from './alert-outcome.ts'

export interface AlertCounts {
  /**
   * Alerts taken and not given back. At every moment
   * `accepted = stored + duplicate + deadLettered + spooled + inFlight`.
   */
  readonly accepted: number
  readonly stored: number
  /** Alerts that the database held already. */
  readonly duplicate: number
  /** Alerts that the database refused one by one. They are in the dead letters. */
  readonly deadLettered: number
  /** Alerts that are in the spool now, those of an earlier process included. */
  readonly spooled: number
  /** Alerts that are in memory, waiting or on their way. */
  readonly inFlight: number
  /** Alerts that were not taken, or given back to their caller with an error: none of the above. */
  readonly rejected: number
}

/** Counts what was taken and what became of it. What is not settled is in flight. */
export class AlertCounters {
  #accepted = 0
  #rejected = 0
  readonly #settled = { stored: 0, duplicate: 0, deadLettered: 0, spooled: 0 }

  accept(count: number): void {
    this.#accepted += count
  }

  /** Alerts that were not taken at all. */
  reject(count: number): void {
    this.#rejected += count
  }

  /** Alerts that were taken, and are given back. */
  giveBack(count: number): void {
    this.#accepted -= count
    this.#rejected += count
  }

  /** An alert in memory is settled. What was spooled is counted by `addSpooled`, so here only its copy in memory ends. */
  settle(outcome: AlertOutcome['kind'], count = 1): void {
    if (outcome === 'spooled') this.#accepted -= count
    else this.#settled[outcome] += count
  }

  /**
   * Alerts went into the spool, or an earlier process left them there. While the rest of their call is on its way they are in
   * memory as well, and should that fail, they are in the spool all the same: so they are counted on their own.
   */
  addSpooled(count: number): void {
    this.#accepted += count
    this.#settled.spooled += count
  }

  /** An alert left the spool. */
  unspool(outcome: Exclude<AlertOutcome['kind'], 'spooled'>): void {
    this.#settled.spooled--
    this.#settled[outcome]++
  }

  /** Alerts that the spool cannot read any more. They were set aside. */
  loseSpooled(count: number): void {
    this.#settled.spooled -= count
    this.giveBack(count)
  }

  snapshot(): AlertCounts {
    const { stored, duplicate, deadLettered, spooled } = this.#settled
    const accepted = this.#accepted
    const inFlight = accepted - stored - duplicate - deadLettered - spooled
    return { accepted, stored, duplicate, deadLettered, spooled, inFlight, rejected: this.#rejected }
  }
}
