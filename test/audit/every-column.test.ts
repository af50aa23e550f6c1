import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { linkHash } from '../../src/audit/link-hash.ts'
import type { Store } from '../../src/index.ts'
import { newHost, openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { CHAIN_ROW_COLUMNS, type ChainRow, readChain, unprotectedLinkOf } from './specified-chain.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
  await database.sql('ALTER TABLE audit_entries DISABLE TRIGGER USER')
})
afterAll(() => store.close())

/** Another value for each column. */
const OTHER_VALUES: ReadonlyMap<unknown, string> = new Map([
  ['entry_id', 'gen_random_uuid()'],
  ['host_id', `(SELECT host_id FROM hosts WHERE hostname = 'without entries')`],
  ['sequence_num', 'sequence_num + 2'],
  ['event_hash', `translate(event_hash, '0123456789abcdef', '123456789abcdef0')`],
  ['prev_hash', `translate(prev_hash, '0123456789abcdef', '123456789abcdef0')`],
  ['payload', `jsonb_set(payload, '{n}', '9007199254740993.10')`],
  ['created_at', `created_at + INTERVAL '1 microsecond'`],
  ['row_hash', `coalesce(translate(row_hash, '0123456789abcdef', '123456789abcdef0'), event_hash)`],
  ['hash_version', '0'],
])

/** What the page says the link hash of a row is, by our own implementation. */
function recompute(row: ChainRow, prevLink: string): string {
  if (row.hash_version === '0') return unprotectedLinkOf(row.event_hash)
  return linkHash({
    hostId: row.host_id,
    sequenceNum: row.sequence_num,
    entryId: row.entry_id,
    createdAt: row.created_at,
    prevHash: row.prev_hash,
    prevLink,
    givenEventHash: row.row_hash === null ? '' : row.event_hash,
    payload: row.payload,
  })
}

const storedLinkOf = (row: ChainRow | undefined) => row?.row_hash ?? row?.event_hash ?? ''

async function columnsOfAuditEntries(): Promise<readonly unknown[]> {
  const columns = await database.sql(
    `SELECT attname FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attnum > 0 AND NOT attisdropped`,
  )
  return columns.map(column => column['attname'])
}

/** Changes a column of the second entry, as an owner can, and returns the row as it stands then. */
async function alterSecond(hostId: string, column: unknown): Promise<ChainRow | undefined> {
  const rows = await database.sql(
    `UPDATE audit_entries
     SET ${column} = ${OTHER_VALUES.get(column)}
     WHERE host_id = '${hostId}' AND sequence_num = 2
     RETURNING ${CHAIN_ROW_COLUMNS}`,
  )
  return (rows as unknown as readonly ChainRow[])[0]
}

describe('every column of audit_entries', () => {
  it.each([
    ['appended here', async (hostId: string) => store.appendAuditEntries(hostId, [{ n: 1 }])],
    [
      'with a hash of the caller',
      async (hostId: string) => {
        const [first] = await readChain(database, hostId)
        const hashes = { prevHash: first?.event_hash ?? '', eventHash: 'a'.repeat(64) }
        return store.insertAuditEntry({ hostId, sequenceNum: 2, ...hashes, payload: { n: 1 } })
      },
    ],
  ])('is covered by the link hash of an entry %s', async (_, writeSecond) => {
    await store.upsertHost({ hostname: 'without entries' })
    const columns = await columnsOfAuditEntries()
    expect(columns.toSorted()).toEqual([...OTHER_VALUES.keys()].toSorted())
    for (const column of columns) {
      const hostId = await newHost(store)
      await store.appendAuditEntries(hostId, ['first'])
      await writeSecond(hostId)
      const [first, second] = await readChain(database, hostId)
      const link = storedLinkOf(second)
      expect(second && recompute(second, storedLinkOf(first))).toBe(link)
      const altered = await alterSecond(hostId, column)
      await database.sql(`DELETE FROM audit_entries WHERE entry_id = '${altered?.entry_id}'`)
      expect(altered && { ...altered }, String(column)).not.toEqual(second)
      expect(altered && recompute(altered, storedLinkOf(first)), String(column)).not.toBe(
        storedLinkOf(altered),
      )
    }
  })

  it('is covered together with the link hash before it', async () => {
    const hostId = await newHost(store)
    await store.appendAuditEntries(hostId, [1, 2])
    const [first, second] = await readChain(database, hostId)
    if (!first || !second) throw new Error('expected two entries')
    expect(recompute(second, storedLinkOf(first))).toBe(storedLinkOf(second))
    expect(recompute(second, 'a'.repeat(64))).not.toBe(storedLinkOf(second))
  })
})
