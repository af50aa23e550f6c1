import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findAuditChainProblems } from '../../scripts/docs/audit-chain-page.ts'
import {
  CANONICAL_VECTORS,
  canonicalBlock,
  chainBlock,
  chainVectors,
} from '../../scripts/docs/audit-chain-vectors.ts'
import { canonicalJson } from '../../src/audit/canonical-json.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { canonicalTextOf } from './json-text.ts'
import { linkHashOf, problemsOf, readChain } from './specified-chain.ts'

const database = useTestDatabase()
const page = readFileSync(join(import.meta.dirname, '../../docs/audit-chain.md'), 'utf8')
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`

describe('the test vectors of docs/audit-chain.md', () => {
  it('stand on the page', () => {
    expect(findAuditChainProblems()).toEqual([])
    expect(page).toContain(canonicalBlock())
    expect(page).toContain(chainBlock())
  })

  it.each(CANONICAL_VECTORS)(
    'are what PostgreSQL prints, and canonical by a second reading: $given',
    async vector => {
      const { given, printed } = vector
      expect(await database.sql(`SELECT ${literal(given)}::jsonb::text AS printed`)).toEqual([{ printed }])
      expect(canonicalJson(printed)).toBe(canonicalTextOf(given))
    },
  )

  it('have the link hashes of a second reading', () => {
    for (const { fields, linkHash } of chainVectors()) expect(linkHashOf(fields)).toBe(linkHash)
  })

  it('are a chain that a database takes, and that is whole there', async () => {
    const vectors = chainVectors()
    const hostId = vectors[0]?.fields.hostId ?? ''
    await database.sql(`INSERT INTO hosts (host_id, hostname) VALUES ('${hostId}', 'vectors')`)
    for (const { fields, eventHash, rowHash } of vectors) {
      const { sequenceNum, entryId, createdAt, prevHash, payload } = fields
      await database.sql(
        `INSERT INTO audit_entries (
           host_id, sequence_num, entry_id, created_at, prev_hash, event_hash, row_hash, hash_version, payload
         )
         VALUES ('${hostId}', ${sequenceNum}, '${entryId}', '${createdAt}', '${prevHash}', '${eventHash}',
           ${rowHash === null ? 'NULL' : `'${rowHash}'`}, 1, ${literal(payload)})`,
      )
    }
    const rows = await readChain(database, hostId)
    expect(rows.map(row => row.payload)).toEqual(vectors.map(vector => vector.fields.payload))
    expect(problemsOf(rows)).toEqual([])
  })
})
