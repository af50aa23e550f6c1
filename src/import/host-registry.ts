import type { HostInput } from '../model/host.ts'
import type { SensorHost } from '../sensors/sensor-adapter.ts'
import type { ImportTarget } from './import-target.ts'

/** Finds the ids of the hosts that alerts name, and registers those that are new. */
export class HostRegistry {
  /** How many hosts it registered. */
  registered = 0
  readonly #target: ImportTarget
  readonly #ids = new Map<string, string>()

  constructor(target: ImportTarget) {
    this.#target = target
  }

  /**
   * Registers the hosts that have no id yet, with hostname and platform alone: a file says nothing of whether the agent
   * lives, so `lastSeen` stays empty and the status OFFLINE.
   */
  async register(hosts: Iterable<SensorHost>): Promise<void> {
    const unknown = new Map<string, HostInput>()
    for (const host of hosts) {
      if ('hostname' in host && !this.#ids.has(host.hostname)) unknown.set(host.hostname, host)
    }
    if (unknown.size > 0) await this.#registerUnknown(unknown)
  }

  /** The id of a host that `register` was called with. */
  idOf(host: SensorHost): string {
    if ('hostId' in host) return host.hostId
    const id = this.#ids.get(host.hostname)
    if (id === undefined) throw new Error(`the host ${host.hostname} was not registered`)
    return id
  }

  /** Looks just before registering: an upsert would empty the fields that an agent filled in the meantime. */
  async #registerUnknown(unknown: ReadonlyMap<string, HostInput>): Promise<void> {
    const existing = await this.#target.listHosts()
    for (const host of existing) this.#ids.set(host.hostname, host.hostId)
    for (const [hostname, host] of unknown) {
      if (this.#ids.has(hostname)) continue
      this.#ids.set(hostname, await this.#target.upsertHost(host))
      this.registered++
    }
  }
}
