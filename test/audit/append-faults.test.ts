import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { GENESIS_HASH, isRetryable, type Store } from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { type FaultSpec, startWireProxy } from '../support/wire-proxy.ts'
import { problemsOf, readChain } from './specified-chain.ts'

const database = useTestDatabase()

const LONG_ENOUGH_MS = 30_000

async function expectWhole(hostId: string, length: number): Promise<void> {
  const rows = await readChain(database, hostId)
  expect(rows).toHaveLength(length)
  expect(problemsOf(rows)).toEqual([])
}

/** Somebody else who keeps a chain locked. */
async function lockChain(hostId: string): Promise<{ release(): Promise<void> }> {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  await client.query('BEGIN')
  await client.query('SELECT FROM lock_audit_chains(ARRAY[$1::uuid])', [hostId])
  return {
    async release() {
      await client.query('ROLLBACK')
      await client.end()
    },
  }
}

const waitersForLock = async () =>
  (
    await database.sql(
      `SELECT FROM pg_stat_activity WHERE datname = '${database.name}' AND wait_event = 'advisory'`,
    )
  ).length

const FAULTS: readonly (readonly [name: string, fault: FaultSpec, applied: boolean])[] = [
  [
    'before the lock',
    { when: { from: 'client', message: 'Parse', text: /lock_audit_chains/ }, action: 'cut-before' },
    false,
  ],
  [
    'before the INSERT',
    { when: { from: 'client', message: 'Parse', text: /INSERT INTO audit_entries/ }, action: 'cut-before' },
    false,
  ],
  [
    'after the INSERT',
    { when: { from: 'client', message: 'Parse', text: /INSERT INTO audit_entries/ }, action: 'cut-after' },
    false,
  ],
  [
    'before COMMIT',
    { when: { from: 'client', message: 'Query', text: /^COMMIT/ }, action: 'cut-before' },
    false,
  ],
  [
    'after COMMIT',
    { when: { from: 'client', message: 'Query', text: /^COMMIT/ }, action: 'cut-after' },
    true,
  ],
  [
    'with COMMIT on its way',
    { when: { from: 'client', message: 'Query', text: /^COMMIT/ }, action: 'cut-now' },
    true,
  ],
  [
    'before the answer to COMMIT',
    {
      when: { from: 'server', message: 'CommandComplete', text: /^COMMIT/ },
      action: 'cut-before',
      clientSees: 'reset',
    },
    true,
  ],
]

describe('F03: a connection that is cut', () => {
  it.each(FAULTS)('%s: the append is tried again, and stored once', async (_, spec) => {
    await using proxy = await startWireProxy({ target: database.connectionString })
    await using store = await openStore(proxy, { retryForMs: LONG_ENOUGH_MS })
    const [hostId, other] = [await newHost(store), await newHost(store)]
    const fault = proxy.inject(spec)
    const [entries, others] = await Promise.all([
      store.appendAuditEntries(hostId, [1, 2]),
      store.appendAuditEntries(other, ['in the same transaction']),
    ])
    expect(fault.count).toBe(1)
    expect(await store.queryAuditEntries({ hostId })).toEqual(entries)
    expect(await store.queryAuditEntries({ hostId: other })).toEqual(others)
    await expectWhole(hostId, 2)
    await expectWhole(other, 1)
  })

  it.each(FAULTS)('%s: the caller can repeat the append with its ids', async (_, spec, applied) => {
    await using proxy = await startWireProxy({ target: database.connectionString })
    await using store = await openStore(proxy)
    const hostId = await newHost(store)
    const fault = proxy.inject(spec)
    const options = { entryIds: [randomUUID(), randomUUID()] }
    const error = await rejection(store.appendAuditEntries(hostId, [1, 2], options))
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(isRetryable(error)).toBe(true)
    await fault.settled
    await expectWhole(hostId, applied ? 2 : 0)
    const entries = await store.appendAuditEntries(hostId, [1, 2], options)
    expect(entries.map(entry => [entry.sequenceNum, entry.entryId])).toEqual([
      [1, options.entryIds[0]],
      [2, options.entryIds[1]],
    ])
    await expectWhole(hostId, 2)
  })

  it.each(FAULTS)('%s: an entry with hashes of the caller is stored once', async (_, spec) => {
    await using proxy = await startWireProxy({ target: database.connectionString })
    await using store = await openStore(proxy, { retryForMs: LONG_ENOUGH_MS })
    const hostId = await newHost(store)
    proxy.inject(spec)
    const entry = { hostId, sequenceNum: 1, prevHash: GENESIS_HASH, eventHash: 'a'.repeat(64), payload: {} }
    expect(await store.insertAuditEntry(entry)).toMatchObject({ sequenceNum: 1, eventHash: entry.eventHash })
    await expectWhole(hostId, 1)
  })
})

/** As an administrator can set it for all who come after. */
async function withDefaultIsolation(level: string, work: () => Promise<void>): Promise<void> {
  await database.alter(`SET default_transaction_isolation = '${level}'`)
  try {
    await work()
  } finally {
    await database.alter('RESET default_transaction_isolation')
  }
}

describe('an append whose COMMIT is held up by the network', () => {
  it.each(['read committed', 'repeatable read', 'serializable'])(
    'is not made twice: the next try waits for the lock, and recognises it, where %s is the default',
    level =>
      withDefaultIsolation(level, async () => {
        await using proxy = await startWireProxy({ target: database.connectionString })
        await using store = await openStore(proxy, { retryForMs: LONG_ENOUGH_MS, writeTimeoutMs: 700 })
        const hostId = await newHost(store)
        const fault = proxy.inject({
          when: { from: 'client', message: 'Query', text: /^COMMIT/ },
          action: 'freeze',
        })
        const appending = store.appendAuditEntries(hostId, ['once'])
        await fault.fired
        await expect.poll(waitersForLock, { timeout: 20_000 }).toBe(1)
        proxy.thaw()
        expect((await appending)[0]?.sequenceNum).toBe(1)
        await expectWhole(hostId, 1)
      }),
    60_000,
  )
})

describe('an append', () => {
  it('works where the database begins all transactions as serializable', async () => {
    await withDefaultIsolation('serializable', async () => {
      await using store = await openStore(database)
      await using other = await openStore(database)
      const hostId = await newHost(store)
      const append = (by: Store) => by.appendAuditEntries(hostId, [1])
      for (let round = 0; round < 20; round++) await Promise.all([append(store), append(other)])
      await expectWhole(hostId, 40)
    })
  })

  it('is finished by close', async () => {
    const store = await openStore(database)
    const hostId = await newHost(store)
    const lock = await lockChain(hostId)
    const appending = store.appendAuditEntries(hostId, [1])
    const inserting = store.insertAuditEntry({
      ...{ hostId, sequenceNum: 2, prevHash: GENESIS_HASH, eventHash: 'a'.repeat(64) },
      payload: {},
    })
    await expect.poll(waitersForLock).toBe(2)
    const closing = store.close()
    const refused = rejection(inserting)
    await lock.release()
    expect((await appending)[0]?.sequenceNum).toBe(1)
    expect(await refused).toMatchObject({ code: 'AUDIT_NOT_CONTINUED' })
    await closing
    await expectWhole(hostId, 1)
  })

  it('fails by close when it is not finished in time, with an unknown outcome', async () => {
    const store = await openStore(database, { closeTimeoutMs: 500 })
    const hostId = await newHost(store)
    const lock = await lockChain(hostId)
    const failing = rejection(store.appendAuditEntries(hostId, [1]))
    await expect.poll(waitersForLock).toBe(1)
    await store.close()
    expect(await failing).toMatchObject({ code: 'CONNECTION_FAILED' })
    await lock.release()
  })

  it('is refused when too much waits, and is taken again afterwards', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    const lock = await lockChain(hostId)
    const large = 'x'.repeat(16_000_000)
    const waiting = [1, 2].map(() => store.appendAuditEntries(hostId, [large]))
    const error = await rejection(store.appendAuditEntries(hostId, [large]))
    expect(error).toMatchObject({ code: 'OVERLOADED', message: expect.stringContaining('2 audit entries') })
    expect(isRetryable(error)).toBe(true)
    await lock.release()
    expect((await Promise.all(waiting)).map(([entry]) => entry?.sequenceNum)).toEqual([1, 2])
    expect((await store.appendAuditEntries(hostId, [3]))[0]?.sequenceNum).toBe(3)
  }, 60_000)
})
