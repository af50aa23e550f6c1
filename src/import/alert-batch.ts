import type { SensorAlert, SensorHost } from '../sensors/sensor-adapter.ts'
import { HostRegistry } from './host-registry.ts'
import { describeError, type ImportTally } from './import-report.ts'
import type { ImportTarget } from './import-target.ts'

const BATCH_ALERTS = 500
/** In UTF-16 units of the lines' text: long lines must not add up to 500 times the longest. */
const BATCH_CHARACTERS = 8_388_608

/** An alert on its way into the store, and the line it came from. */
export interface PendingAlert {
  readonly lineNumber: number
  /** The length of the line's text in UTF-16 units. */
  readonly characters: number
  readonly host: SensorHost
  readonly alert: SensorAlert
}

/** Collects alerts and stores them 500 at a time. */
export class AlertBatch {
  readonly #target: ImportTarget
  readonly #tally: ImportTally
  readonly #hosts: HostRegistry
  #pending: PendingAlert[] = []
  #characters = 0

  constructor(target: ImportTarget, tally: ImportTally) {
    this.#target = target
    this.#tally = tally
    this.#hosts = new HostRegistry(target)
  }

  async add(alert: PendingAlert): Promise<void> {
    this.#pending.push(alert)
    this.#characters += alert.characters
    if (this.#pending.length >= BATCH_ALERTS || this.#characters >= BATCH_CHARACTERS) await this.store()
  }

  /** Stores what was collected. After an error it is not tried again. */
  async store(): Promise<void> {
    const pending = this.#pending
    if (pending.length === 0) return
    this.#pending = []
    this.#characters = 0
    await this.#hosts.register(pending.map(({ host }) => host))
    this.#tally.hosts = this.#hosts.registered
    const alerts = pending.map(({ alert, host }) => ({ ...alert, hostId: this.#hosts.idOf(host) }))
    const receipts = await this.#target.insertAlerts(alerts)
    pending.forEach(({ lineNumber }, index) => {
      const receipt = receipts[index]
      if (receipt?.outcome === 'stored') this.#tally.stored++
      else if (receipt?.outcome === 'duplicate') this.#tally.duplicates++
      else
        this.#tally.addRefused({
          lineNumber,
          message: receipt?.error ? describeError(receipt.error) : 'no receipt',
        })
    })
  }
}
