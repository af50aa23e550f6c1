import { afterAll, beforeAll, expect, it } from 'vitest'
import type { AuditVerification, Store } from '../../src/index.ts'
import { openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { newChain } from './signed-chains.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

const HOSTS = 20
const ENTRIES = 100_000
const IN_ONE_CALL = 1000
const WRITERS = 8

const payloads = (count: number, from: number) =>
  Array.from({ length: count }, (_, index) => ({ action: 'rule-changed', number: from + index }))

it('chains of 100,000 entries are intact while 8 writers append to one host and to all (F30)', {
  timeout: 240_000,
}, async () => {
  const hosts = await Promise.all(Array.from({ length: HOSTS }, () => newChain(database)))
  for (let made = 0; made < ENTRIES; made += IN_ONE_CALL) {
    await store.appendAuditEntries(hosts[(made / IN_ONE_CALL) % HOSTS] ?? '', payloads(IN_ONE_CALL, made))
  }
  const until = new AbortController()
  const write = async (first: number) => {
    for (let made = 0; !until.signal.aborted; made++) {
      const hostId = hosts[made % 2 === 0 ? 0 : (first + made) % HOSTS] ?? ''
      await store.appendAuditEntries(hostId, payloads(1 + (made % 5), made))
    }
  }
  const writers = Array.from({ length: WRITERS }, (_, first) => write(first))
  const seen: AuditVerification[] = []
  try {
    for (let round = 0; round < 3; round++) seen.push(await store.verifyAuditChain())
  } finally {
    until.abort()
    await Promise.all(writers)
  }
  seen.push(await store.verifyAuditChain())
  expect(seen.map(({ verdict, findings }) => [verdict, findings])).toEqual(seen.map(() => ['intact', []]))
  const counts = seen.map(({ entries }) => entries)
  expect(counts[0]).toBeGreaterThanOrEqual(ENTRIES)
  // Each looked at another moment: the writers did write.
  expect(counts).toEqual([...new Set(counts)].toSorted((a, b) => a - b))
})
