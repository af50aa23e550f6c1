import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GENESIS_HASH, RawJson, type Store } from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { canonicalTextOf, jsonText } from './json-text.ts'
import { problemsOf, readChain } from './specified-chain.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

const numbersOf = (entries: readonly { readonly sequenceNum: number }[]) =>
  entries.map(entry => entry.sequenceNum)

describe('appendAuditEntries', () => {
  it('assigns numbers, times and hashes, and returns what is stored', async () => {
    const hostId = await newHost(store)
    const payload = RawJson.fromText('{"n": 9007199254740993.10, "é": "\\u0041", "a": 1e2}')
    const first = await store.appendAuditEntries(hostId, [payload, null])
    const second = await store.appendAuditEntries(hostId, [{ action: 'logout' }])
    expect(numbersOf([...first, ...second])).toEqual([1, 2, 3])
    expect(first[0]).toMatchObject({ hostId, prevHash: GENESIS_HASH, rowHash: null, hashVersion: 1 })
    expect(second[0]?.prevHash).toBe(first[1]?.eventHash)
    expect(await store.queryAuditEntries({ hostId })).toEqual([...first, ...second])
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
  })

  it('appends nothing for an empty list', async () => {
    const hostId = await newHost(store)
    expect(await store.appendAuditEntries(hostId, [])).toEqual([])
    expect(await readChain(database, hostId)).toEqual([])
  })

  it("takes the server's time, and never an earlier one than that of the entry before", async () => {
    const hostId = await newHost(store)
    const [now] = await store.appendAuditEntries(hostId, [{}])
    expect(Math.abs(Date.parse(now?.createdAt ?? '') - Date.now())).toBeLessThan(3_600_000)
    const future = new Date(Date.now() + 30 * 86_400_000).toISOString().replace('Z', '999Z')
    const given = { hostId, sequenceNum: 2, eventHash: 'a'.repeat(64), prevHash: now?.eventHash ?? '' }
    await store.insertAuditEntry({ ...given, payload: {}, createdAt: future })
    const [after] = await store.appendAuditEntries(hostId, [{}])
    expect(after).toMatchObject({ sequenceNum: 3, prevHash: 'a'.repeat(64), createdAt: future })
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
  })

  it('continues entries that were not protected', async () => {
    const hostId = await newHost(store)
    await database.sql(
      `INSERT INTO audit_entries (host_id, sequence_num, event_hash) VALUES ('${hostId}', 1, repeat('a', 64))`,
    )
    const [entry] = await store.appendAuditEntries(hostId, [{}])
    expect(entry).toMatchObject({ sequenceNum: 2, prevHash: 'a'.repeat(64), hashVersion: 1 })
    expect(problemsOf(await readChain(database, hostId))).toEqual(['1 is not protected'])
  })

  it('F31: of any JSON stores what was hashed', async () => {
    const hostId = await newHost(store)
    await fc.assert(
      fc.asyncProperty(fc.array(jsonText, { minLength: 1, maxLength: 40 }), async texts => {
        const entries = await store.appendAuditEntries(hostId, texts.map(RawJson.fromText))
        expect(entries.map(entry => canonicalTextOf(entry.payload.text))).toEqual(texts.map(canonicalTextOf))
      }),
      { numRuns: 30 },
    )
    const rows = await readChain(database, hostId)
    expect(rows.length).toBeGreaterThan(30)
    expect(problemsOf(rows)).toEqual([])
  })

  it('F31: takes JSON of as many levels as PostgreSQL does', async () => {
    const hostId = await newHost(store)
    const levels = 2000
    const nested = `${'[{"b": '.repeat(levels)}1${', "a": 2}]'.repeat(levels)}`
    const [entry] = await store.appendAuditEntries(hostId, [RawJson.fromText(nested)])
    expect(entry?.payload.text).toBe(`${'[{"a": 2, "b": '.repeat(levels)}1${'}]'.repeat(levels)}`)
    expect(await store.verifyAuditChain({ hostId })).toMatchObject({ verdict: 'intact' })
  })

  it('stores all entries of a call or none', async () => {
    const hostId = await newHost(store)
    const refused = RawJson.fromText('"\\u0000"')
    await expect(store.appendAuditEntries(hostId, [1, refused, 3])).rejects.toMatchObject({
      code: 'QUERY_FAILED',
      sqlState: '22P05',
    })
    expect(await readChain(database, hostId)).toEqual([])
  })

  it('takes 10,000 entries, and payloads of 16 MiB', async () => {
    const hostId = await newHost(store)
    const many = await store.appendAuditEntries(
      hostId,
      Array.from({ length: 10_000 }, (_, index) => index),
    )
    expect(many.at(-1)?.sequenceNum).toBe(10_000)
    const [large] = await store.appendAuditEntries(hostId, ['x'.repeat(16_777_214)])
    expect(large?.sequenceNum).toBe(10_001)
    const rows = await readChain(database, hostId)
    expect(rows.at(-1)?.payload).toHaveLength(16_777_216)
    expect(problemsOf(rows.slice(0, 10_000))).toEqual([])
  })
})

describe('appendAuditEntries refuses', () => {
  it('an unknown host', async () => {
    const unknown = randomUUID()
    await expect(store.appendAuditEntries(unknown, [{}])).rejects.toMatchObject({ code: 'UNKNOWN_HOST' })
    await expect(store.appendAuditEntries('web-1', [{}])).rejects.toMatchObject({ field: 'hostId' })
  })

  it.each([
    ['payloads', 'text'],
    ['payloads[1]', [1, undefined]],
    ['payloads[0]', [() => 1]],
    ['payloads[2]', [1, 2, Number.NaN]],
    ['payloads[10000]', Array.from({ length: 10_001 }, () => 1)],
    ['payloads[1]', ['x'.repeat(8_388_608), 'x'.repeat(8_388_608)]],
  ])('what is no list of JSON within the limits, and names %s', async (field, payloads) => {
    const error = await rejection(store.appendAuditEntries(randomUUID(), payloads as number[]))
    expect(error).toMatchObject({ code: 'INVALID_INPUT', field })
  })

  const [id, other] = [randomUUID(), randomUUID()]
  it.each([
    ['options.entryIds', [id]],
    ['options.entryIds', 'id'],
    ['options.entryIds[1]', [id, 'id']],
    ['options.entryIds[1]', [id, id.toUpperCase()]],
    ['options.entryIds', [id, other, randomUUID()]],
  ])('ids that are not one for each payload, and names %s', async (field, entryIds) => {
    const options = { entryIds: entryIds as string[] }
    const error = await rejection(store.appendAuditEntries(randomUUID(), [1, 2], options))
    expect(error).toMatchObject({ code: 'INVALID_INPUT', field })
  })

  it('options and clients that it does not know', async () => {
    const call = (options: object) => rejection(store.appendAuditEntries(randomUUID(), [1], options))
    expect(await call({ entryId: [] })).toMatchObject({ code: 'UNKNOWN_OPTION' })
    expect(await call({ client: {} })).toMatchObject({ code: 'INVALID_INPUT', field: 'options.client' })
  })
})

describe('appendAuditEntries with entryIds', () => {
  it('can be repeated: what is stored comes back, and nothing is appended', async () => {
    const hostId = await newHost(store)
    const options = { entryIds: [randomUUID(), randomUUID()] }
    const payloads = [RawJson.fromText('{"b": 1, "a": 1.0}'), 'two']
    const entries = await store.appendAuditEntries(hostId, payloads, options)
    expect(entries.map(entry => entry.entryId)).toEqual(options.entryIds)
    await store.appendAuditEntries(hostId, ['meanwhile'])
    const sameValue = [RawJson.fromText('{"a":1.0,"b":1}'), 'two']
    expect(await store.appendAuditEntries(hostId, sameValue, options)).toEqual(entries)
    expect(await readChain(database, hostId)).toHaveLength(3)
  })

  it('can be made twice at once', async () => {
    const hostId = await newHost(store)
    const options = { entryIds: [randomUUID()] }
    const calls = Array.from({ length: 5 }, () => store.appendAuditEntries(hostId, ['once'], options))
    const results = await Promise.all(calls)
    expect(new Set(results.map(entries => JSON.stringify(entries))).size).toBe(1)
    expect(await readChain(database, hostId)).toHaveLength(1)
  })

  it('is refused when an id is in use for something else', async () => {
    const [hostId, otherHost] = [await newHost(store), await newHost(store)]
    const [first = '', second = ''] = [randomUUID(), randomUUID()]
    await store.appendAuditEntries(hostId, [1, 2], { entryIds: [first, second] })
    const append = (host: string, payloads: number[], entryIds: string[]) =>
      rejection(store.appendAuditEntries(host, payloads, { entryIds }))
    const refusals = [
      await append(hostId, [1, 3], [first, second]),
      await append(hostId, [2, 1], [second, first]),
      await append(hostId, [1, 2, 3], [first, second, randomUUID()]),
      await append(hostId, [0, 1], [randomUUID(), first]),
      await append(otherHost, [1, 2], [first, second]),
    ]
    for (const error of refusals) expect(error).toMatchObject({ code: 'ALREADY_EXISTS' })
    expect(refusals.map(error => /entryIds\[\d\]/.exec(String(error))?.[0])).toEqual([
      'entryIds[1]',
      'entryIds[1]',
      'entryIds[2]',
      'entryIds[0]',
      'entryIds[0]',
    ])
    expect(await readChain(database, hostId)).toHaveLength(2)
    expect(await readChain(database, otherHost)).toEqual([])
  })
})
