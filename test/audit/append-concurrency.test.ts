import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { isRetryable, RawJson, type Store } from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  CHAIN_ROW_COLUMNS,
  type ChainRow,
  linkHashOf,
  problemsOf,
  readChain,
  readChains,
} from './specified-chain.ts'

const database = useTestDatabase()

/** Stores that know nothing of each other, as in as many processes. */
async function withStores<T>(count: number, work: (stores: readonly Store[]) => Promise<T>): Promise<T> {
  const stores = await Promise.all(Array.from({ length: count }, () => openStore(database)))
  try {
    return await work(stores)
  } finally {
    await Promise.all(stores.map(store => store.close()))
  }
}

async function newHosts(store: Store | undefined, count: number): Promise<readonly string[]> {
  if (!store) throw new Error('expected a store')
  return Promise.all(Array.from({ length: count }, () => newHost(store)))
}

async function expectWhole(hostId: string, length: number): Promise<void> {
  const rows = await readChain(database, hostId)
  expect(rows).toHaveLength(length)
  expect(problemsOf(rows)).toEqual([])
}

const range = (length: number) => Array.from({ length }, (_, index) => index)

/** What a client does that knows the page but not the lock: it reads the newest entry and writes the next one. */
async function continueWithoutLock(client: pg.Client, hostId: string): Promise<void> {
  const { rows } = await client.query<ChainRow>(
    `SELECT ${CHAIN_ROW_COLUMNS} FROM audit_entries WHERE host_id = $1 ORDER BY audit_entries.sequence_num DESC LIMIT 1`,
    [hostId],
  )
  const head = rows[0]
  if (!head) throw new Error('expected an entry')
  const fields = {
    hostId,
    sequenceNum: Number(head.sequence_num) + 1,
    entryId: randomUUID(),
    createdAt: '2026-03-01T10:00:00.123456Z',
    prevHash: head.event_hash,
    prevLink: head.row_hash ?? head.event_hash,
    givenEventHash: '',
    payload: '"of another client"',
  }
  const { sequenceNum, entryId, createdAt, prevHash, payload } = fields
  await client.query(
    `INSERT INTO audit_entries (
       host_id, sequence_num, entry_id, created_at, prev_hash, event_hash, payload, hash_version
     )
     VALUES ($1, $2, $3, $4, $5, $6, $7, 1)`,
    [hostId, sequenceNum, entryId, createdAt, prevHash, linkHashOf(fields), payload],
  )
}

describe('F30: appends of 8 writers', () => {
  it('to one host leave one chain without gaps', async () => {
    await withStores(8, async stores => {
      const [hostId = ''] = await newHosts(stores[0], 1)
      const appended = await Promise.all(
        stores.flatMap((store, writer) =>
          range(40).map(call =>
            store.appendAuditEntries(
              hostId,
              range((call % 3) + 1).map(() => writer),
            ),
          ),
        ),
      )
      const numbers = appended.flat().map(entry => entry.sequenceNum)
      expect(numbers.toSorted((a, b) => a - b)).toEqual(range(numbers.length).map(index => index + 1))
      await expectWhole(hostId, numbers.length)
      // Entries of one call stand together, and those of one store in the order of its calls.
      for (const entries of appended) {
        expect(
          entries.every((entry, index) => entry.sequenceNum === (entries[0]?.sequenceNum ?? 0) + index),
        ).toBe(true)
      }
      for (const writer of range(8)) {
        const firsts = appended
          .slice(writer * 40, writer * 40 + 40)
          .map(entries => entries[0]?.sequenceNum ?? 0)
        expect(firsts).toEqual(firsts.toSorted((a, b) => a - b))
      }
    })
  })

  it('to 200 hosts leave 200 such chains', async () => {
    await withStores(8, async stores => {
      const hostIds = await newHosts(stores[0], 200)
      await Promise.all(
        stores.flatMap((store, writer) =>
          // Each writer in an order of its own.
          hostIds.map((_, index) =>
            store.appendAuditEntries(hostIds[(index * (writer * 2 + 1)) % 200] ?? '', [writer, index]),
          ),
        ),
      )
      const chains = await readChains(database)
      const ofHosts = hostIds.map(hostId => chains.get(hostId) ?? [])
      expect(ofHosts.flatMap(problemsOf)).toEqual([])
      expect(ofHosts.flat()).toHaveLength(8 * 200 * 2)
    })
  })

  it('go on beside clients that continue the chain without its lock, of whom each fork is refused', async () => {
    await withStores(2, async stores => {
      const [hostId = ''] = await newHosts(stores[0], 1)
      await stores[0]?.appendAuditEntries(hostId, ['first'])
      const outcomes: unknown[] = []
      const others = range(4).map(async () => {
        const client = new pg.Client({ connectionString: database.directConnectionString })
        await client.connect()
        for (const _ of range(25)) {
          outcomes.push(await continueWithoutLock(client, hostId).catch((error: unknown) => error))
        }
        await client.end()
      })
      // One after the other, into the midst of what the others write.
      const ours = stores.map(async store => {
        for (const index of range(25)) await store.appendAuditEntries(hostId, [index])
      })
      await Promise.all([...ours, ...others])
      const refused = outcomes.filter(outcome => outcome !== undefined)
      for (const error of refused) expect(error).toMatchObject({ constraint: 'audit_host_sequence_unique' })
      expect(refused.length).toBeGreaterThan(0)
      await expectWhole(hostId, 1 + 2 * 25 + outcomes.length - refused.length)
    })
  })

  it('and of transactions of callers, in opposite orders, leave whole chains; a deadlock ends one of them', async () => {
    await withStores(1, async ([store]) => {
      const hostIds = await newHosts(store, 2)
      const transact = async (order: readonly string[]): Promise<number> => {
        const client = new pg.Client({ connectionString: database.directConnectionString })
        await client.connect()
        try {
          await client.query('BEGIN')
          for (const hostId of order)
            await store?.appendAuditEntries(hostId, ['of a transaction'], { client })
          await client.query('COMMIT')
          return 1
        } catch (error) {
          expect(isRetryable(error), String(error)).toBe(true)
          return 0
        } finally {
          await client.end()
        }
      }
      const transactions = range(6).map(index => transact(index % 2 ? hostIds : hostIds.toReversed()))
      const appends = range(30).map(async index =>
        store?.appendAuditEntries(hostIds[index % 2] ?? '', [index]),
      )
      const [committed] = await Promise.all([Promise.all(transactions), Promise.all(appends)])
      const sum = committed.reduce((total, one) => total + one, 0)
      for (const hostId of hostIds) await expectWhole(hostId, 15 + sum)
      // With nobody in its way, the same transaction commits.
      expect(await transact(hostIds)).toBe(1)
      for (const hostId of hostIds) await expectWhole(hostId, 16 + sum)
    })
  })
})

describe('concurrent appends', () => {
  it('share transactions, across hosts', async () => {
    await using store = await openStore(database)
    const hostIds = await newHosts(store, 50)
    await Promise.all(range(500).map(index => store.appendAuditEntries(hostIds[index % 50] ?? '', [index])))
    const list = hostIds.map(id => `'${id}'`).join(', ')
    const transactions = await database.sql(
      `SELECT xmin::text FROM audit_entries WHERE host_id IN (${list}) GROUP BY xmin::text`,
    )
    expect(transactions.length).toBeLessThanOrEqual(2)
    for (const hostId of hostIds) await expectWhole(hostId, 10)
  })

  it('fail each for itself', async () => {
    await using store = await openStore(database)
    const hostIds = await newHosts(store, 5)
    const unknown = store.appendAuditEntries(randomUUID(), [1])
    const good = hostIds.map(hostId => store.appendAuditEntries(hostId, [1, 2]))
    const refused = store.appendAuditEntries(hostIds[0] ?? '', [1, RawJson.fromText('1e200000')])
    const after = store.appendAuditEntries(hostIds[0] ?? '', [3])
    expect(await rejection(unknown)).toMatchObject({ code: 'UNKNOWN_HOST' })
    expect(await rejection(refused)).toMatchObject({ sqlState: '22003' })
    expect((await Promise.all(good)).map(entries => entries.length)).toEqual([2, 2, 2, 2, 2])
    expect((await after)[0]?.sequenceNum).toBe(3)
    for (const [index, hostId] of hostIds.entries()) await expectWhole(hostId, index === 0 ? 3 : 2)
  })

  it('go on to all other hosts while somebody keeps chains locked, and fail there as retryable', async () => {
    await using store = await openStore(database)
    const [locked = [], free = []] = [await newHosts(store, 5), await newHosts(store, 5)]
    const holder = new pg.Client({ connectionString: database.directConnectionString })
    await holder.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT FROM lock_audit_chains($1::uuid[])', [locked])
    let answered = 0
    const waiting = locked.map(async hostId => {
      const error = await rejection(store.appendAuditEntries(hostId, [1]))
      answered++
      return error
    })
    for (const round of range(20)) {
      await Promise.all(free.map(hostId => store.appendAuditEntries(hostId, [round])))
    }
    expect(answered).toBe(0)
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ sqlState: '55P03' })
      expect(isRetryable(error)).toBe(true)
    }
    await holder.query('ROLLBACK')
    await holder.end()
    for (const hostId of locked) expect((await store.appendAuditEntries(hostId, [2]))[0]?.sequenceNum).toBe(1)
    for (const hostId of free) await expectWhole(hostId, 20)
  }, 60_000)
})
