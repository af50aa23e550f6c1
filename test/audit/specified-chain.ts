/** A second reading of docs/audit-chain.md, which shares nothing with ours: slow, and plain to compare with the page. */
import { createHash } from 'node:crypto'
import type { LinkFields } from '../../src/audit/link-hash.ts'
import { canonicalTextOf } from './json-text.ts'

const ZEROS = '0'.repeat(64)

/** docs/audit-chain.md, "The link hash", word by word. */
export function linkHashOf(fields: LinkFields): string {
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  const prefixed = (value: string) => {
    const bytes = Buffer.from(value)
    return Buffer.concat([Uint8Array.from([24, 16, 8, 0], shift => bytes.length >>> shift), bytes])
  }
  return sha256(
    Buffer.concat([
      Buffer.from('tripwire-storage/audit-entry/v1\n'),
      prefixed(fields.hostId),
      prefixed(String(fields.sequenceNum)),
      prefixed(fields.entryId),
      prefixed(fields.createdAt),
      prefixed(fields.prevHash),
      prefixed(fields.prevLink),
      prefixed(fields.givenEventHash),
      prefixed(sha256(Buffer.from(canonicalTextOf(fields.payload)))),
    ]),
  )
}

/** docs/audit-chain.md, "Version 0". */
export function unprotectedLinkOf(eventHash: string): string {
  return createHash('sha256').update(`tripwire-storage/audit-entry/v0\n${eventHash}`).digest('hex')
}

/** A row, each column in the text form that the page gives it. */
export interface ChainRow {
  readonly host_id: string
  readonly sequence_num: string
  readonly entry_id: string
  readonly created_at: string
  readonly event_hash: string
  readonly prev_hash: string
  readonly row_hash: string | null
  readonly hash_version: string
  readonly payload: string
}

interface SqlClient {
  sql(text: string): Promise<readonly Record<string, unknown>[]>
}

/** A row in text, in SQL. */
export const CHAIN_ROW_COLUMNS = `host_id::text, sequence_num::text, entry_id::text, event_hash::text, prev_hash::text,
  row_hash::text, hash_version::text, payload::text,
  to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at`

/** The rows of all chains, asked by another client, by host. */
export async function readChains(database: SqlClient): Promise<ReadonlyMap<string, readonly ChainRow[]>> {
  const rows = await database.sql(
    `SELECT ${CHAIN_ROW_COLUMNS}
     FROM audit_entries
     ORDER BY audit_entries.sequence_num`,
  )
  return Map.groupBy(rows as unknown as readonly ChainRow[], row => row.host_id)
}

/** The rows of one chain. */
export async function readChain(database: SqlClient, hostId: string): Promise<readonly ChainRow[]> {
  const rows = await database.sql(
    `SELECT ${CHAIN_ROW_COLUMNS}
     FROM audit_entries
     WHERE host_id = '${hostId}'
     ORDER BY audit_entries.sequence_num`,
  )
  return rows as unknown as readonly ChainRow[]
}

/** What is wrong with a chain that begins with 1, or is not protected. Empty: nothing. */
export function problemsOf(rows: readonly ChainRow[]): readonly string[] {
  const problems: string[] = []
  let before = { event_hash: ZEROS, link: ZEROS }
  for (const [index, row] of rows.entries()) {
    const isProtected = row.hash_version === '1'
    const link = isProtected ? (row.row_hash ?? row.event_hash) : unprotectedLinkOf(row.event_hash)
    const expected = linkHashOf({
      hostId: row.host_id,
      sequenceNum: row.sequence_num,
      entryId: row.entry_id,
      createdAt: row.created_at,
      prevHash: row.prev_hash,
      prevLink: before.link,
      givenEventHash: row.row_hash === null ? '' : row.event_hash,
      payload: row.payload,
    })
    if (row.sequence_num !== String(index + 1))
      problems.push(`${row.sequence_num} stands in place ${index + 1}`)
    if (row.prev_hash !== before.event_hash) problems.push(`${row.sequence_num} has another previous hash`)
    if (!isProtected) problems.push(`${row.sequence_num} is not protected`)
    else if (link !== expected) problems.push(`${row.sequence_num} is not what was hashed`)
    before = { event_hash: row.event_hash, link }
  }
  return problems
}
