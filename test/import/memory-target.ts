import { InvalidInputError } from '../../src/errors.ts'
import type { AlertBatchResult, ImportTarget } from '../../src/import/import-target.ts'
import type { NewAlert } from '../../src/model/alert.ts'
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

  async insertAlertBatch(alerts: readonly NewAlert[]): Promise<AlertBatchResult> {
    this.batches.push(alerts.length)
    const refused: { index: number; error: InvalidInputError }[] = []
    let stored = 0
    let duplicates = 0
    for (const [index, alert] of alerts.entries()) {
      const key = `${alert.hostId} ${alert.alertId}`
      if (alert.ruleName === 'refuse') {
        refused.push({
          index,
          error: new InvalidInputError('ruleName', 'refuse', 'another name', { hint: 'rename it' }),
        })
      } else if (this.alerts.has(key)) {
        duplicates++
      } else {
        this.alerts.set(key, alert)
        stored++
      }
    }
    return { stored, duplicates, refused }
  }
}
