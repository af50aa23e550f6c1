import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isRetryable, type Store, type TransactionClient } from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { problemsOf, readChain } from './specified-chain.ts'

const database = useTestDatabase()
let store: Store
let client: pg.Client
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())
beforeEach(async () => {
  client = await connect()
})
afterEach(() => client.end())

async function connect(options: pg.ClientConfig = {}): Promise<pg.Client> {
  const connected = new pg.Client({ connectionString: database.directConnectionString, ...options })
  await connected.connect()
  return connected
}

const countRules = async (target: string) =>
  (await database.sql(`SELECT FROM tripwire_rules WHERE target = '${target}'`)).length

describe("appendAuditEntries in the caller's transaction", () => {
  it('commits with it', async () => {
    const hostId = await newHost(store)
    const target = `/${randomUUID()}`
    await client.query('BEGIN')
    await client.query(`INSERT INTO tripwire_rules (host_id, rule_type, target) VALUES ($1, 'FILE', $2)`, [
      hostId,
      target,
    ])
    const first = await store.appendAuditEntries(hostId, [{ target }], { client })
    const second = await store.appendAuditEntries(hostId, [1, 2], { client })
    expect(await readChain(database, hostId)).toEqual([])
    await client.query('COMMIT')
    expect(await countRules(target)).toBe(1)
    expect(await store.queryAuditEntries({ hostId })).toEqual([...first, ...second])
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
  })

  it('is gone with it, and the next append takes its number', async () => {
    const hostId = await newHost(store)
    await client.query('BEGIN')
    const [rolledBack] = await store.appendAuditEntries(hostId, ['rolled back'], { client })
    await client.query('ROLLBACK')
    const [entry] = await store.appendAuditEntries(hostId, ['kept'])
    expect([rolledBack?.sequenceNum, entry?.sequenceNum]).toEqual([1, 1])
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
  })

  it('lets a savepoint take back an append, and go on', async () => {
    const hostId = await newHost(store)
    await client.query('BEGIN')
    await store.appendAuditEntries(hostId, ['kept'], { client })
    await client.query('SAVEPOINT before')
    await store.appendAuditEntries(hostId, ['taken back'], { client })
    await client.query('ROLLBACK TO SAVEPOINT before')
    const [entry] = await store.appendAuditEntries(hostId, ['kept as well'], { client })
    await client.query('COMMIT')
    expect(entry?.sequenceNum).toBe(2)
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
  })

  it('keeps other appends to the host waiting until it ends, and none to other hosts', async () => {
    const [hostId, other] = [await newHost(store), await newHost(store)]
    await client.query('BEGIN')
    await store.appendAuditEntries(hostId, ['first'], { client })
    const waiting = store.appendAuditEntries(hostId, ['second'])
    const [free] = await store.appendAuditEntries(other, ['free'])
    expect(free?.sequenceNum).toBe(1)
    await client.query('COMMIT')
    expect((await waiting)[0]?.sequenceNum).toBe(2)
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
  })

  it('is made after those that were asked for before on the same client, also when one of them fails', async () => {
    const hostId = await newHost(store)
    await client.query('BEGIN')
    const appends = [1, 2, 3, 4].map(n => store.appendAuditEntries(hostId, [n], { client }))
    const entries = (await Promise.all(appends)).flat()
    expect(entries.map(({ sequenceNum, payload }) => [sequenceNum, payload.text])).toEqual([
      [1, '1'],
      [2, '2'],
      [3, '3'],
      [4, '4'],
    ])
    const entryIds = entries.slice(0, 1).map(({ entryId }) => entryId)
    const failing = rejection(store.appendAuditEntries(hostId, ['other'], { client, entryIds }))
    const [last] = await store.appendAuditEntries(hostId, [5], { client })
    expect(await failing).toMatchObject({ code: 'ALREADY_EXISTS' })
    await client.query('COMMIT')
    expect(last?.sequenceNum).toBe(5)
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
  })

  it('can be repeated with entryIds', async () => {
    const hostId = await newHost(store)
    const options = { client, entryIds: [randomUUID()] }
    await client.query('BEGIN')
    const entries = await store.appendAuditEntries(hostId, ['once'], options)
    expect(await store.appendAuditEntries(hostId, ['once'], options)).toEqual(entries)
    await client.query('COMMIT')
    await client.query('BEGIN')
    expect(await store.appendAuditEntries(hostId, ['once'], options)).toEqual(entries)
    await client.query('COMMIT')
    expect(await readChain(database, hostId)).toHaveLength(1)
  })

  it('works with a client that parses every type in its own way', async () => {
    const hostId = await newHost(store)
    const parseAll = {
      getTypeParser: (id: number) => (text: string) => (id === 25 ? text : { parsed: text }),
    }
    const odd = await connect({ types: parseAll as unknown as pg.CustomTypesConfig })
    await odd.query(
      `SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard'; BEGIN`,
    )
    const options = { client: odd, entryIds: [randomUUID()] }
    const entries = await store.appendAuditEntries(hostId, [{ a: 1 }], options)
    expect(await store.appendAuditEntries(hostId, [{ a: 1 }], options)).toEqual(entries)
    await odd.query('COMMIT')
    await odd.end()
    expect(await store.queryAuditEntries({ hostId })).toEqual(entries)
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
  })

  it.each(['REPEATABLE READ', 'SERIALIZABLE'])(
    'of %s fails when it cannot see what it has to continue',
    async level => {
      const hostId = await newHost(store)
      await client.query(`BEGIN ISOLATION LEVEL ${level}`)
      await client.query('SELECT')
      await client.query('SELECT count(*) FROM audit_entries')
      await store.appendAuditEntries(hostId, ['quicker'])
      const error = await rejection(store.appendAuditEntries(hostId, ['late'], { client }))
      await client.query('ROLLBACK')
      const isTold = isRetryable(error) || Object(error).code === 'AUDIT_NOT_CONTINUED'
      expect(isTold, String(error)).toBe(true)
      expect(await readChain(database, hostId)).toHaveLength(1)
    },
  )
})

describe("appendAuditEntries refuses the caller's client", () => {
  it('when it is in no transaction: nothing is stored', async () => {
    const hostId = await newHost(store)
    const pool = new pg.Pool({ connectionString: database.connectionString, max: 2 })
    for (const outside of [client, pool]) {
      await expect(store.appendAuditEntries(hostId, [1], { client: outside })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        field: 'options.client',
        hint: expect.stringContaining('BEGIN'),
      })
    }
    await pool.end()
    expect(await readChain(database, hostId)).toEqual([])
  })

  it("with the server's SQLSTATE, whichever driver tells it", async () => {
    const unknown = randomUUID()
    await client.query('BEGIN')
    const own = await rejection(store.appendAuditEntries(unknown, [1], { client }))
    await client.query('ROLLBACK')
    expect(own).toMatchObject({ code: 'UNKNOWN_HOST', sqlState: '23503' })
    const foreign: TransactionClient = {
      query: () => Promise.reject(Object.assign(new Error('deadlock'), { code: '40P01' })),
    }
    const other = await rejection(store.appendAuditEntries(unknown, [1], { client: foreign }))
    expect(other).toMatchObject({ code: 'QUERY_FAILED', sqlState: '40P01' })
    expect(isRetryable(other)).toBe(true)
  })

  it('when it does not return text, or throws on its own account', async () => {
    const lossy: TransactionClient = { query: () => Promise.resolve({ rows: [{ sequence_num: 1 }] }) }
    await expect(store.appendAuditEntries(randomUUID(), [1], { client: lossy })).rejects.toMatchObject({
      field: 'options.client',
    })
    const cause = new Error('the pipe is closed')
    const broken: TransactionClient = { query: () => Promise.reject(cause) }
    expect(await rejection(store.appendAuditEntries(randomUUID(), [1], { client: broken }))).toBe(cause)
  })
})
