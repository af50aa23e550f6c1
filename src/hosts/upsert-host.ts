import { randomUUID } from 'node:crypto'
import { TripwireStorageError } from '../errors.ts'
import { HOST_STATUSES } from '../model/host.ts'
import {
  parseIpAddress,
  parseObject,
  parseOneOf,
  parseOptional,
  parseText,
  parseUuid,
} from '../model/input.ts'
import { parseTimestamp } from '../model/timestamp.ts'
import type { QueryRunner } from '../pg/database.ts'

/** RFC 1035 allows 253 characters; Windows and containers make their own names. */
const LONGEST_HOSTNAME = 255
const LONGEST_LABEL = 1000
const DEFAULT_STATUS = 'OFFLINE'

/** The id of a known hostname stays: alerts, rules and audit entries point to it. */
const UPSERT_HOST = `
  INSERT INTO hosts (
    host_id, hostname, ip_address, platform, agent_version, last_seen, status
  )
  VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT (hostname) DO UPDATE
  SET
    ip_address = EXCLUDED.ip_address,
    platform = EXCLUDED.platform,
    agent_version = EXCLUDED.agent_version,
    last_seen = EXCLUDED.last_seen,
    status = EXCLUDED.status
  RETURNING host_id`

/**
 * Registers a host, or replaces everything but the id and `createdAt` of the host with this name.
 * @returns the id in effect.
 * @throws InvalidInputError, and DatabaseError ALREADY_EXISTS when the id belongs to a host of another name.
 */
export async function upsertHost(db: QueryRunner, host: unknown): Promise<string> {
  const given = parseObject('host', host, [
    'hostId',
    'hostname',
    'ipAddress',
    'platform',
    'agentVersion',
    'lastSeen',
    'status',
  ])
  const { rows } = await db.query<{ host_id: string }>(UPSERT_HOST, [
    given.hostId === undefined ? randomUUID() : parseUuid('host.hostId', given.hostId),
    parseText('host.hostname', given.hostname, LONGEST_HOSTNAME),
    parseOptional(given.ipAddress, value => parseIpAddress('host.ipAddress', value)),
    parseOptional(given.platform, value => parseText('host.platform', value, LONGEST_LABEL)),
    parseOptional(given.agentVersion, value => parseText('host.agentVersion', value, LONGEST_LABEL)),
    parseOptional(given.lastSeen, value => parseTimestamp('host.lastSeen', value)),
    parseOneOf('host.status', given.status ?? DEFAULT_STATUS, HOST_STATUSES),
  ])
  const row = rows[0]
  if (!row) throw new TripwireStorageError('MALFORMED_ROW', 'the upsert of a host returned no row')
  return row.host_id
}
