import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type AuditEntry,
  AuditNotContinuedError,
  GENESIS_HASH,
  type NewAuditEntry,
  RawJson,
  type Store,
} from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { problemsOf, readChain } from './specified-chain.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

const hashOf = (digit: number) => String(digit).repeat(64)

/** An entry of an agent that hashes by a scheme of its own. */
const agentEntry = (
  hostId: string,
  sequenceNum: number,
  members: Partial<NewAuditEntry> = {},
): NewAuditEntry => ({
  hostId,
  sequenceNum,
  prevHash: hashOf(sequenceNum - 1),
  eventHash: hashOf(sequenceNum),
  payload: { attempt: sequenceNum },
  ...members,
})

async function agentChain(length: number): Promise<{ hostId: string; entries: readonly AuditEntry[] }> {
  const hostId = await newHost(store)
  const entries: AuditEntry[] = []
  for (let number = 1; number <= length; number++) {
    entries.push(await store.insertAuditEntry(agentEntry(hostId, number)))
  }
  return { hostId, entries }
}

describe('insertAuditEntry', () => {
  it('protects the row by a hash of ours, beside appended entries as well', async () => {
    const { hostId, entries } = await agentChain(2)
    expect(entries.map(entry => entry.hashVersion)).toEqual([1, 1])
    const [appended] = await store.appendAuditEntries(hostId, ['ours'])
    expect(appended).toMatchObject({ sequenceNum: 3, prevHash: hashOf(2), rowHash: null })
    await store.insertAuditEntry(agentEntry(hostId, 4, { prevHash: appended?.eventHash ?? '' }))
    await store.insertAuditEntry(agentEntry(hostId, 5))
    const rows = await readChain(database, hostId)
    expect(rows.map(row => row.row_hash !== null)).toEqual([true, true, false, true, true])
    expect(problemsOf(rows)).toEqual([])
  })

  it('leaves the same entry alone, and returns the stored one', async () => {
    const { hostId, entries } = await agentChain(3)
    const [first, second] = entries
    if (!first || !second) throw new Error('expected entries')
    expect(await store.insertAuditEntry(agentEntry(hostId, 2))).toEqual(second)
    const { entryId, createdAt } = second
    expect(await store.insertAuditEntry(agentEntry(hostId, 2, { entryId, createdAt }))).toEqual(second)
    const otherLayout = RawJson.fromText(' {\n"attempt" : 1e0 } ')
    expect(await store.insertAuditEntry(agentEntry(hostId, 1, { payload: otherLayout }))).toEqual(first)
    expect(await store.queryAuditEntries({ hostId })).toEqual(entries)
  })

  it.each([
    ['eventHash', hashOf(9)],
    ['prevHash', hashOf(9)],
    ['payload', { attempt: 3 }],
    ['payload', RawJson.fromText('{"attempt": 2.0}')],
    ['entryId', randomUUID()],
    ['createdAt', '2026-03-01T10:00:00Z'],
  ])('refuses a fork: a number that another entry has, with another %s', async (field, value) => {
    const { hostId, entries } = await agentChain(3)
    const error = await rejection(store.insertAuditEntry(agentEntry(hostId, 2, { [field]: value })))
    expect(error).toBeInstanceOf(AuditNotContinuedError)
    expect(error).toMatchObject({
      code: 'AUDIT_NOT_CONTINUED',
      hostId,
      expected: { sequenceNum: 4, prevHash: hashOf(3) },
      found: { sequenceNum: 2 },
      message: expect.stringContaining(String(entries[1]?.entryId)),
    })
    expect(await store.queryAuditEntries({ hostId })).toEqual(entries)
  })

  it('refuses a gap, also before the first entry', async () => {
    const hostId = await newHost(store)
    expect(await rejection(store.insertAuditEntry(agentEntry(hostId, 2)))).toMatchObject({
      code: 'AUDIT_NOT_CONTINUED',
      expected: { sequenceNum: 1, prevHash: GENESIS_HASH },
      found: { sequenceNum: 2, prevHash: hashOf(1) },
    })
    await store.insertAuditEntry(agentEntry(hostId, 1))
    expect(await rejection(store.insertAuditEntry(agentEntry(hostId, 3)))).toMatchObject({
      expected: { sequenceNum: 2, prevHash: hashOf(1) },
      message: expect.stringContaining('gap'),
    })
    expect(await store.queryAuditEntries({ hostId })).toHaveLength(1)
  })

  it('refuses another previous hash', async () => {
    const { hostId } = await agentChain(1)
    const error = await rejection(store.insertAuditEntry(agentEntry(hostId, 2, { prevHash: hashOf(7) })))
    expect(error).toMatchObject({
      code: 'AUDIT_NOT_CONTINUED',
      expected: { sequenceNum: 2, prevHash: hashOf(1) },
      found: { sequenceNum: 2, prevHash: hashOf(7) },
    })
    expect(await store.queryAuditEntries({ hostId })).toHaveLength(1)
  })

  it('refuses an id that is in use', async () => {
    const { entries } = await agentChain(1)
    const hostId = await newHost(store)
    const entry = agentEntry(hostId, 1, { entryId: entries[0]?.entryId ?? '' })
    expect(await rejection(store.insertAuditEntry(entry))).toMatchObject({ code: 'ALREADY_EXISTS' })
  })

  it('lets one of several agents that continue the same entry through', async () => {
    const { hostId } = await agentChain(1)
    const attempts = Array.from({ length: 8 }, (_, agent) =>
      store.insertAuditEntry(agentEntry(hostId, 2, { payload: { agent } })),
    )
    const outcomes = await Promise.allSettled(attempts)
    expect(outcomes.filter(outcome => outcome.status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'AUDIT_NOT_CONTINUED' })
    }
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
  })

  it('leaves the same entry alone that was there before the chain was protected', async () => {
    const hostId = await newHost(store)
    await database.sql(
      `INSERT INTO audit_entries (host_id, sequence_num, event_hash, payload)
       VALUES ('${hostId}', 1, '${hashOf(1)}', '{"attempt": 1}')`,
    )
    const again = await store.insertAuditEntry(agentEntry(hostId, 1))
    expect(again).toMatchObject({ hashVersion: 0, rowHash: null })
    expect(await readChain(database, hostId)).toHaveLength(1)
  })
})
