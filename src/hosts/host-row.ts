import type { Host, HostStatus } from '../model/host.ts'
import { selectTimestamp, timestampFromRow } from '../pg/row-values.ts'

export interface HostRow {
  readonly host_id: string
  readonly hostname: string
  readonly ip_address: string | null
  readonly platform: string | null
  readonly agent_version: string | null
  readonly last_seen: string | null
  readonly status: HostStatus
  readonly created_at: string
}

/** `ip_address` bare: a cast to text would add `/32`. */
export const HOST_COLUMNS = `
    host_id,
    hostname,
    ip_address,
    platform,
    agent_version,
    ${selectTimestamp('last_seen')},
    status,
    ${selectTimestamp('created_at')}`

export function hostFromRow(row: HostRow): Host {
  return {
    hostId: row.host_id,
    hostname: row.hostname,
    ipAddress: row.ip_address,
    platform: row.platform,
    agentVersion: row.agent_version,
    lastSeen: row.last_seen === null ? null : timestampFromRow(row.last_seen),
    status: row.status,
    createdAt: timestampFromRow(row.created_at),
  }
}
