import { TripwireStorageError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { archiveMismatch } from './archive-errors.ts'
import type { ArchivedHost } from './manifest.ts'

interface HostRow {
  readonly host_id: string
  readonly hostname: string | null
}

/** Host by host id. The host of a month that was detached may be gone. */
function selectHosts(table: string): string {
  return `
  SELECT
    named.host_id,
    hosts.hostname
  FROM (SELECT DISTINCT host_id FROM ${table}) AS named
  LEFT JOIN hosts
    ON hosts.host_id = named.host_id
  ORDER BY named.host_id`
}

/** The hosts that the alerts of a table name, by id. */
export async function listArchivedHosts(db: QueryRunner, table: string): Promise<readonly ArchivedHost[]> {
  const { rows } = await db.query<HostRow>(selectHosts(table))
  return rows.map(({ host_id: hostId, hostname }) => ({ hostId, hostname }))
}

/**
 * Compares the hosts that the alerts of a table name with those of the manifest.
 * @throws TripwireStorageError ARCHIVE_MISMATCH
 */
export async function requireSameHosts(
  db: QueryRunner,
  table: string,
  expected: readonly ArchivedHost[],
): Promise<void> {
  const found = (await listArchivedHosts(db, table)).map(({ hostId }) => hostId)
  const same =
    found.length === expected.length && expected.every(({ hostId }, index) => hostId === found[index])
  if (!same)
    throw archiveMismatch('hosts', `${expected.length} hosts of the manifest`, `${found.length} others`)
}

const SELECT_MISSING_HOSTS = `
  SELECT given.host_id
  FROM unnest($1::uuid[]) AS given (host_id)
  WHERE NOT EXISTS (
    SELECT
    FROM hosts
    WHERE hosts.host_id = given.host_id
  )`

const MOST_NAMED = 10

/**
 * @throws TripwireStorageError UNKNOWN_HOST, naming hosts that are not registered.
 */
export async function requireRegistered(db: QueryRunner, hosts: readonly ArchivedHost[]): Promise<void> {
  const { rows } = await db.query<Pick<HostRow, 'host_id'>>(SELECT_MISSING_HOSTS, [
    hosts.map(({ hostId }) => hostId),
  ])
  const missing = new Set(rows.map(row => row.host_id))
  const [first, ...others] = hosts.filter(({ hostId }) => missing.has(hostId))
  if (!first) return
  const named = [first, ...others]
    .slice(0, MOST_NAMED)
    .map(({ hostId, hostname }) => `${hostname ?? '-'} (${hostId})`)
  const more = missing.size > MOST_NAMED ? ` and ${missing.size - MOST_NAMED} more` : ''
  throw new TripwireStorageError(
    'UNKNOWN_HOST',
    `the archive names hosts that are not registered: ${named.join(', ')}${more}`,
    {
      hint: `register each: tripwire-storage hosts add ${first.hostname ?? 'NAME'} --id ${first.hostId}`,
    },
  )
}
