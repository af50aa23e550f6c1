import { InvalidInputError } from '../../src/errors.ts'
import type { ImportTarget } from '../../src/import/import-target.ts'
import type { AlertReceipt, NewAlert } from '../../src/model/alert.ts'
import type { Host, HostInput } from '../../src/model/host.ts'

/** A store in memory: enough to see what an import hands over. Refuses alerts with the rule name `refuse`. */
export class MemoryTarget implements ImportTarget {
  readonly hosts: Host[] = []
  readonly upserts: HostInput[] = []
  readonly alerts = new Map<string, NewAlert>()
  readonly batches: number[] = []

  addHost(hostname: string, more: Partial<Host> = {}): Host {
    const host: Host = {
      hostId: `host-${this.hosts.length + 1}`,
      hostname,
      ipAddress: null,
      platform: null,
      agentVersion: null,
      lastSeen: null,
      status: 'OFFLINE',
      createdAt: '2026-01-01T00:00:00.000000Z',
      ...more,
    }
    this.hosts.push(host)
    return host
  }

  async listHosts(): Promise<readonly Host[]> {
    return [...this.hosts]
  }

  async upsertHost(host: HostInput): Promise<string> {
    this.upserts.push(host)
    return this.addHost(host.hostname, { platform: host.platform ?? null }).hostId
  }

  async insertAlerts(alerts: readonly NewAlert[]): Promise<readonly AlertReceipt[]> {
    this.batches.push(alerts.length)
    return alerts.map(alert => this.#insert(alert))
  }

  #insert(alert: NewAlert): AlertReceipt {
    const { alertId } = alert
    if (alert.ruleName === 'refuse') {
      const error = new InvalidInputError('ruleName', 'refuse', 'another name', { hint: 'rename it' })
      return { alertId, outcome: 'rejected', error }
    }
    const key = `${alert.hostId} ${alertId}`
    if (this.alerts.has(key)) return { alertId, outcome: 'duplicate' }
    this.alerts.set(key, alert)
    return { alertId, outcome: 'stored' }
  }
}
