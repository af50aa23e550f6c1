import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuditEntry, GENESIS_HASH, type NewAuditEntry, RawJson, type Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

type Link = NewAuditEntry & { readonly createdAt: string; readonly payload: RawJson }

const hashOf = (prevHash: string, sequenceNum: number, createdAt: string, payload: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify([prevHash, sequenceNum, createdAt, payload]))
    .digest('hex')

const createdAtOf = (index: number) => `2026-03-01T10:00:00.${String(index).padStart(6, '0')}Z`

function chainFor(hostId: string, length: number): readonly Link[] {
  const chain: Link[] = []
  let prevHash = GENESIS_HASH
  for (let sequenceNum = 1; sequenceNum <= length; sequenceNum++) {
    const createdAt = createdAtOf(sequenceNum)
    const payload = RawJson.from({ action: 'rule-changed', by: 'Zoë 日本', attempt: sequenceNum })
    const eventHash = hashOf(prevHash, sequenceNum, createdAt, payload.parse())
    chain.push({ hostId, sequenceNum, eventHash, prevHash, payload, createdAt })
    prevHash = eventHash
  }
  return chain
}

/** The first entry whose place or hash does not follow from the ones before; members in the order they were hashed. */
function firstBreak(entries: readonly AuditEntry[]): number | undefined {
  let prevHash = GENESIS_HASH
  for (const [index, entry] of entries.entries()) {
    const { action, by, attempt } = Object(entry.payload.parse())
    const hash = hashOf(prevHash, entry.sequenceNum, entry.createdAt, { action, by, attempt })
    if (entry.sequenceNum !== index + 1 || entry.prevHash !== prevHash || entry.eventHash !== hash)
      return index
    prevHash = entry.eventHash
  }
  return undefined
}

describe('audit entries', () => {
  it('come back in the order of the chain, and the chain verifies', async () => {
    const hostId = await newHost(store)
    const chain = chainFor(hostId, 25)
    for (const entry of chain) await store.insertAuditEntry(entry)
    const entries = await store.queryAuditEntries({ hostId })
    expect(entries.map(entry => entry.sequenceNum)).toEqual(chain.map(entry => entry.sequenceNum))
    expect(firstBreak(entries)).toBeUndefined()
  })

  it.each([
    ['payload', `'{"action": "rule-changed", "by": "Mallory", "attempt": 7}'`],
    ['created_at', `created_at + INTERVAL '1 microsecond'`],
    ['event_hash', `repeat('0', 64)`],
    ['prev_hash', `repeat('f', 64)`],
  ])('show a change of %s made behind the back of the store', async (column, value) => {
    const hostId = await newHost(store)
    for (const entry of chainFor(hostId, 10)) await store.insertAuditEntry(entry)
    await database.sql(
      `ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_refuse_update;
       UPDATE audit_entries SET ${column} = ${value} WHERE host_id = '${hostId}' AND sequence_num = 7;
       ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER audit_entries_refuse_update`,
    )
    expect(firstBreak(await store.queryAuditEntries({ hostId }))).toBe(6)
  })

  it('come back from the insert with every field', async () => {
    const hostId = await newHost(store)
    const entry = { ...chainFor(hostId, 1)[0], entryId: randomUUID() } as Link & { entryId: string }
    const inserted = await store.insertAuditEntry(entry)
    expect(inserted).toEqual({
      ...{ ...entry, payload: inserted.payload, hashVersion: 1 },
      rowHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(inserted.payload.parse()).toEqual(entry.payload.parse())
    expect(await store.queryAuditEntries({ hostId })).toEqual([inserted])
  })

  it("get an id and the server's time when they bring none", async () => {
    const hostId = await newHost(store)
    const { createdAt: _, ...entry } = chainFor(hostId, 1)[0] as Link
    const inserted = await store.insertAuditEntry(entry)
    expect(inserted.entryId).toMatch(/^[0-9a-f-]{36}$/)
    const rows = await database.sql(
      `SELECT now() - created_at < INTERVAL '1 hour' AS recent FROM audit_entries WHERE host_id = '${hostId}'`,
    )
    expect(rows).toEqual([{ recent: true }])
  })

  it('are found by host and by span of time, `from` included and `to` excluded', async () => {
    const [hostId, other] = [await newHost(store), await newHost(store)]
    for (const entry of [...chainFor(hostId, 5), ...chainFor(other, 5)]) await store.insertAuditEntry(entry)
    const numbers = async (span: { from?: string; to?: string }) =>
      (await store.queryAuditEntries({ hostId, ...span })).map(entry => entry.sequenceNum)
    expect(await numbers({})).toEqual([1, 2, 3, 4, 5])
    expect(await numbers({ from: createdAtOf(2), to: createdAtOf(4) })).toEqual([2, 3])
    expect(await numbers({ from: createdAtOf(4) })).toEqual([4, 5])
    expect(await numbers({ to: createdAtOf(2) })).toEqual([1])
    expect(await numbers({ from: createdAtOf(3), to: createdAtOf(3) })).toEqual([])
  })

  it('are refused with an unknown host', async () => {
    const hostId = await newHost(store)
    const [first] = chainFor(hostId, 1)
    if (!first) throw new Error('expected an entry')
    const unknown = '00000000-0000-0000-0000-0000000000dd'
    await expect(store.insertAuditEntry({ ...first, hostId: unknown })).rejects.toMatchObject({
      code: 'UNKNOWN_HOST',
    })
    expect(await store.queryAuditEntries({ hostId: unknown })).toEqual([])
  })

  it('keep the digits of numbers, JSON null, and the largest sequence number', async () => {
    const hostId = await newHost(store)
    const hashes = { eventHash: 'a'.repeat(64), prevHash: 'a'.repeat(64) }
    await startChainAt(hostId, BigInt(Number.MAX_SAFE_INTEGER) - 2n)
    const payload = RawJson.fromText('{"n": 9007199254740993.10}')
    await store.insertAuditEntry({ hostId, sequenceNum: Number.MAX_SAFE_INTEGER - 1, ...hashes, payload })
    await store.insertAuditEntry({ hostId, sequenceNum: Number.MAX_SAFE_INTEGER, ...hashes, payload: null })
    const entries = await store.queryAuditEntries({ hostId })
    expect(entries.slice(1).map(each => [each.sequenceNum, each.payload.text])).toEqual([
      [Number.MAX_SAFE_INTEGER - 1, '{"n": 9007199254740993.10}'],
      [Number.MAX_SAFE_INTEGER, 'null'],
    ])
  })

  it('whose number is beyond 2^53 are reported, not rounded, and not continued', async () => {
    const hostId = await newHost(store)
    await startChainAt(hostId, 9007199254740993n)
    const reported = { code: 'MALFORMED_ROW', message: expect.stringContaining('900719925474099') }
    await expect(store.queryAuditEntries({ hostId })).rejects.toMatchObject(reported)
    await expect(store.appendAuditEntries(hostId, [{}])).rejects.toMatchObject(reported)
  })
})

/** What the trigger refuses, and an owner can do. */
async function startChainAt(hostId: string, sequenceNum: bigint): Promise<void> {
  await database.sql(
    `ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_continue_chain;
     INSERT INTO audit_entries (host_id, sequence_num, event_hash) VALUES ('${hostId}', ${sequenceNum}, repeat('a', 64));
     ALTER TABLE audit_entries ENABLE TRIGGER audit_entries_continue_chain`,
  )
}
