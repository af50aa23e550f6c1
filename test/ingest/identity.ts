import { onTestFinished } from 'vitest'
import type { AlertReceipt, CloseReport, NewAlert, Store, StoreEvents, StoreStats } from '../../src/index.ts'

const EVENTS = [
  'flushFailed',
  'alertsDeadLettered',
  'databaseAway',
  'databaseBack',
  'spoolFailed',
  'connectionLost',
] as const satisfies readonly (keyof StoreEvents)[]

const GROWING = ['stored', 'duplicate', 'deadLettered'] as const
const COUNTS = ['accepted', ...GROWING, 'spooled', 'inFlight', 'rejected'] as const

/**
 * Checks the counts of a store at every step of a test: around each call that is made through it, at each event, and
 * every millisecond in between. What it found fails the test when that ends.
 *
 * The identity itself cannot tell much, because what is in flight is counted as the rest. So no count may be negative, and what
 * is settled stays settled.
 */
export class IdentityWatch {
  readonly store: Store
  /** Names of the events, in the order in which they came. */
  readonly events: string[] = []
  readonly #violations = new Set<string>()
  #last: StoreStats

  constructor(store: Store) {
    this.store = store
    this.#last = store.stats()
    for (const event of EVENTS) {
      store.on(event, () => {
        this.events.push(event)
        this.check(event)
      })
    }
    const timer = setInterval(() => this.check('in between'), 1)
    onTestFinished(() => {
      clearInterval(timer)
      this.check('at the end')
      if (this.#violations.size > 0) throw new Error([...this.#violations].slice(0, 10).join('\n'))
    })
  }

  check(step: string): StoreStats {
    const stats = this.store.stats()
    const { accepted, stored, duplicate, deadLettered, spooled, inFlight } = stats
    const shown = JSON.stringify(Object.fromEntries(COUNTS.map(name => [name, stats[name]])))
    if (accepted !== stored + duplicate + deadLettered + spooled + inFlight) {
      this.#violations.add(`${step}: the identity does not hold: ${shown}`)
    }
    for (const name of COUNTS) if (!(stats[name] >= 0)) this.#violations.add(`${step}: ${name} < 0: ${shown}`)
    for (const name of GROWING) {
      if (stats[name] < this.#last[name]) this.#violations.add(`${step}: ${name} fell: ${shown}`)
    }
    this.#last = stats
    return stats
  }

  insertAlerts(alerts: readonly NewAlert[]): Promise<readonly AlertReceipt[]> {
    return this.#around('insertAlerts', () => this.store.insertAlerts(alerts))
  }

  batchInsertAlerts(alert: NewAlert): Promise<void> {
    return this.#around('batchInsertAlerts', () => this.store.batchInsertAlerts(alert))
  }

  flush(): Promise<void> {
    return this.#around('flush', () => this.store.flush())
  }

  close(): Promise<CloseReport> {
    return this.#around('close', () => this.store.close())
  }

  async #around<T>(step: string, call: () => Promise<T>): Promise<T> {
    this.check(`before ${step}`)
    const result = call()
    this.check(`after the start of ${step}`)
    try {
      return await result
    } finally {
      this.check(`after ${step}`)
    }
  }
}
