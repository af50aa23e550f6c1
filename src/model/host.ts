import type { TimestampInput } from './timestamp.ts'

export const HOST_STATUSES = ['ONLINE', 'OFFLINE', 'DEGRADED'] as const
export type HostStatus = (typeof HOST_STATUSES)[number]

/** A registered agent and the machine it watches. */
export interface Host {
  readonly hostId: string
  /** Unique over all hosts. */
  readonly hostname: string
  /** As PostgreSQL's `inet` writes it: `192.0.2.7`, `2001:db8::1`, `10.0.0.0/8`. */
  readonly ipAddress: string | null
  readonly platform: string | null
  readonly agentVersion: string | null
  /** RFC 3339, UTC, microseconds. */
  readonly lastSeen: string | null
  readonly status: HostStatus
  /** RFC 3339, UTC, microseconds. */
  readonly createdAt: string
}

/** A host as it is registered. What is absent or null is stored as SQL NULL, also on an update. */
export interface HostInput {
  /** Used when the hostname is new. Defaults to a random UUID. */
  readonly hostId?: string
  /** 1 to 255 characters. */
  readonly hostname: string
  readonly ipAddress?: string | null
  readonly platform?: string | null
  readonly agentVersion?: string | null
  readonly lastSeen?: TimestampInput | null
  /** Defaults to OFFLINE. */
  readonly status?: HostStatus
}
