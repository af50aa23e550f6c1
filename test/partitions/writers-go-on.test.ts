import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Store } from '../../src/index.ts'
import { newAlerts, openStore } from '../store/fixtures.ts'
import { waitForWaiters } from '../store/lock-alerts.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  connectClient,
  insertHost,
  makeMonth,
  monthFromNow,
  partitionNames,
  partitionOf,
} from './fixtures.ts'

const database = useTestDatabase()
/** How long the reader keeps its transaction open. Writers that waited for it would wait as long. */
const READER_MS = 10_000
/** A lock timeout, and what a busy machine adds; far from the reader's time. */
const LONGEST_WRITE_MS = 4000
let store: Store
let hostId: string

beforeAll(async () => {
  store = await openStore(database)
  hostId = await insertHost(database)
  await store.ensurePartitions({ monthsAhead: 0 })
})
afterAll(() => store.close())

/** Inserts until `during` is settled. Returns the longest that one call took, and how many there were. */
async function writeDuring(during: Promise<unknown>): Promise<{ longestMs: number; calls: number }> {
  let isOver = false
  const over = during.finally(() => {
    isOver = true
  })
  let longestMs = 0
  let calls = 0
  while (!isOver) {
    const startedAt = performance.now()
    const receipts = await store.insertAlerts(newAlerts(5, hostId))
    expect(receipts.filter(({ outcome }) => outcome !== 'stored')).toEqual([])
    longestMs = Math.max(longestMs, performance.now() - startedAt)
    calls++
  }
  await over
  return { longestMs, calls }
}

async function withReader<T>(work: () => Promise<T>): Promise<T> {
  await using reader = await connectClient(database.directConnectionString)
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await reader.query('SELECT FROM alerts LIMIT 1')
  const result = await work()
  await reader.query('ROLLBACK')
  return result
}

describe(`F21: while a reader stays open for ${READER_MS} ms`, () => {
  it('months are made, and no writer waits for it', async () => {
    const { longestMs, calls } = await withReader(async () => {
      const open = sleep(READER_MS)
      const made = store.ensurePartitions({ monthsAhead: 5 })
      const measured = await writeDuring(open)
      // They were there before the reader went.
      expect((await made).filter(month => month.made)).toHaveLength(5)
      return measured
    })
    expect(calls).toBeGreaterThan(10)
    expect(longestMs).toBeLessThan(LONGEST_WRITE_MS)
  })

  it('a month is detached, and no writer waits for it', async () => {
    const month = monthFromNow(-4)
    await makeMonth(database, month, hostId, 100)
    let detached: Promise<unknown> | undefined
    const { longestMs, calls } = await withReader(async () => {
      detached = store.applyRetention({ keepMonths: 2 })
      return writeDuring(sleep(READER_MS))
    })
    expect(await detached).toMatchObject({
      retired: expect.arrayContaining([expect.objectContaining({ partition: partitionOf(month) })]),
      failures: [],
    })
    expect(await partitionNames(database)).not.toContain(partitionOf(month))
    expect(calls).toBeGreaterThan(10)
    expect(longestMs).toBeLessThan(LONGEST_WRITE_MS)
  })

  it('CREATE TABLE … PARTITION OF would keep every writer waiting: what this schema avoids', async () => {
    await withReader(async () => {
      const made = database.sql(
        `CREATE TABLE alerts_2023_01 PARTITION OF alerts FOR VALUES FROM ('2023-01-01Z') TO ('2023-02-01Z')`,
      )
      await waitForWaiters(database, 1)
      const written = store.insertAlerts(newAlerts(1, hostId))
      await waitForWaiters(database, 2)
      // The reader ends with this block, and only then the others go on.
      return { made, written }
    }).then(({ made, written }) => Promise.all([made, written]))
  })
})
