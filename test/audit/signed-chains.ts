/** Chains written row by row, with hashes by the specification, and an owner of the database who does what owners can. */
import { createHash, randomUUID } from 'node:crypto'
import { GENESIS_LINK, linkHash, unprotectedLinkHash } from '../../src/audit/link-hash.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** Ours; with an event hash of the caller's own; from before the protection. */
export type EntryKind = 'own' | 'given' | 'unprotected'

interface Place {
  readonly sequenceNum: number
  readonly eventHash: string
  readonly linkHash: string
}

/** A host without entries. */
export async function newChain(database: TestDatabase): Promise<string> {
  const hostId = randomUUID()
  await database.sql(`INSERT INTO hosts (host_id, hostname) VALUES ('${hostId}', 'host-${hostId}')`)
  return hostId
}

/** Appends entries after those that are there, each with a payload that tells its number. */
export async function append(
  database: TestDatabase,
  hostId: string,
  count: number,
  kind: EntryKind = 'own',
  action = 'rule-changed',
): Promise<void> {
  let place = await placeOf(database, hostId)
  const rows: string[] = []
  for (let made = 0; made < count; made++) {
    const row = rowAfter(place, hostId, kind, action)
    rows.push(row.sql)
    place = row.place
  }
  const insert = `
    INSERT INTO audit_entries (host_id, sequence_num, entry_id, created_at, prev_hash, event_hash, row_hash, hash_version, payload)
    VALUES ${rows.join(', ')}`
  // Refused after a protected entry.
  if (kind === 'unprotected') await tamper(database, insert)
  else await database.sql(insert)
}

function rowAfter(before: Place, hostId: string, kind: EntryKind, action: string) {
  const sequenceNum = before.sequenceNum + 1
  const entryId = randomUUID()
  const createdAt = `2026-03-01T10:00:00.${String(sequenceNum).padStart(6, '0')}Z`
  const payload = `{"action": "${action}", "number": ${sequenceNum}}`
  const given = createHash('sha256').update(`${hostId} ${sequenceNum} ${action}`).digest('hex')
  const hash = linkHash({
    hostId,
    sequenceNum,
    entryId,
    createdAt,
    prevHash: before.eventHash,
    prevLink: before.linkHash,
    givenEventHash: kind === 'given' ? given : '',
    payload,
  })
  const eventHash = kind === 'own' ? hash : given
  const rowHash = kind === 'given' ? `'${hash}'` : 'NULL'
  const version = kind === 'unprotected' ? 0 : 1
  return {
    place: { sequenceNum, eventHash, linkHash: kind === 'unprotected' ? unprotectedLinkHash(given) : hash },
    sql: `('${hostId}', ${sequenceNum}, '${entryId}', '${createdAt}', '${before.eventHash}', '${eventHash}', ${rowHash}, ${version}, '${payload}')`,
  }
}

async function placeOf(database: TestDatabase, hostId: string): Promise<Place> {
  const [row] = await database.sql(
    `SELECT sequence_num, event_hash, link_hash FROM lock_audit_chains(ARRAY['${hostId}']::uuid[])`,
  )
  return {
    sequenceNum: Number(row?.['sequence_num'] ?? 0),
    eventHash: String(row?.['event_hash'] ?? GENESIS_LINK),
    linkHash: String(row?.['link_hash'] ?? GENESIS_LINK),
  }
}

/** Runs SQL as the owner would who wants no trace: without the triggers. */
export async function tamper(database: TestDatabase, sql: string): Promise<void> {
  await database.sql(`
    BEGIN;
    ALTER TABLE audit_entries DISABLE TRIGGER ALL;
    ALTER TABLE audit_prunings DISABLE TRIGGER ALL;
    ${sql};
    ALTER TABLE audit_entries ENABLE TRIGGER ALL;
    ALTER TABLE audit_prunings ENABLE TRIGGER ALL;
    COMMIT`)
}

/** Writes a chain anew from one entry on, with other payloads and with all its hashes, as many entries as there were. */
export async function rewrite(database: TestDatabase, hostId: string, from: number): Promise<void> {
  const [{ count } = {}] = await database.sql(
    `SELECT count(*)::int AS count FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num >= ${from}`,
  )
  await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num >= ${from}`)
  await append(database, hostId, Number(count), 'own', 'nothing-happened')
}
