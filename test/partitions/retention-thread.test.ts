import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DatabaseError, type Store, TripwireStorageError } from '../../src/index.ts'
import { LEAST_BYTES_FOR_THREAD } from '../../src/partitions/retention/apply-retention.ts'
import { packError, unpackError } from '../../src/partitions/retention/thread-error.ts'
import { openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { startWireProxy } from '../support/wire-proxy.ts'
import { contentOf, insertHost, makeMonth, monthFromNow, partitionNames, partitionOf } from './fixtures.ts'

const database = useTestDatabase()
const FIXTURE = fileURLToPath(new URL('retain.fixture.ts', import.meta.url))
const ROWS = 30_000
const MONTH = partitionOf(monthFromNow(-4))
let store: Store
let archiveDir: string

beforeAll(async () => {
  archiveDir = await mkdtemp(join(tmpdir(), 'tripwire-archive-'))
  await database.sql('DROP TABLE alerts_y2026m02')
  await makeMonth(database, monthFromNow(-4), await insertHost(database), ROWS)
  store = await openStore(database)
  const [month] = await store.listPartitions()
  expect(month?.bytes).toBeGreaterThan(LEAST_BYTES_FOR_THREAD)
})
afterAll(async () => {
  await store.close()
  await rm(archiveDir, { recursive: true, force: true })
})

/** A connection of the thread, beside those of the store. */
const threadAtWork = () =>
  database.sql(
    `SELECT FROM pg_stat_activity WHERE datname = '${database.name}' AND query LIKE '%short_line%' AND state <> 'idle' AND pid <> pg_backend_pid()`,
  )

describe('a month that is large enough for a thread of its own', () => {
  it('comes back with the error of the thread, whose class and hint are those of its kind', async () => {
    const missing = join(archiveDir, 'missing')
    const withoutFolder = await store.applyRetention({ keepMonths: 1, archiveDir: missing })
    expect(withoutFolder.failures).toMatchObject([
      { partition: MONTH, error: { code: 'ARCHIVE_FAILED', hint: 'make the folder, or name another one' } },
    ])
    expect(withoutFolder.failures[0]?.error).toBeInstanceOf(TripwireStorageError)
    expect(await partitionNames(database)).toContain(MONTH)
  })

  it('is given up when the store closes, and finished by the next, the same rows', async () => {
    const rows = await contentOf(database, MONTH)
    const closing = await openStore(database)
    const retiring = closing.applyRetention({ keepMonths: 1, archiveDir }).catch((error: unknown) => error)
    await expect.poll(threadAtWork, { timeout: 20_000, interval: 5 }).not.toEqual([])
    await closing.close()
    expect(await retiring).toBeInstanceOf(Error)
    // A server process goes a moment after its client.
    await expect.poll(threadAtWork).toEqual([])

    const { retired, failures } = await store.applyRetention({ keepMonths: 1, archiveDir })
    expect(failures).toEqual([])
    expect(retired).toMatchObject([{ partition: MONTH, outcome: 'dropped', rows: ROWS }])
    await store.restorePartition(retired[0]?.manifest ?? '')
    expect(await contentOf(database, MONTH)).toEqual(rows)
  }, 60_000)

  it('is given up, too, when the server does not answer any more', async () => {
    await using proxy = await startWireProxy({ target: database.connectionString })
    const far = await openStore(proxy, { closeTimeoutMs: 1000 })
    const again = { keepMonths: 1, archiveDir, includeRestored: true }
    const retiring = far.applyRetention(again).catch((error: unknown) => error)
    await expect.poll(threadAtWork, { timeout: 20_000, interval: 5 }).not.toEqual([])
    proxy.freezeAll()
    await far.close()
    expect(await retiring).toBeInstanceOf(Error)
  }, 60_000)

  it('is archived all the same where the process may start no thread', async () => {
    const child = spawn(
      process.execPath,
      [
        '--permission',
        '--allow-fs-read=*',
        '--allow-fs-write=*',
        FIXTURE,
        database.connectionString,
        archiveDir,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    const [code] = await once(child, 'exit')
    expect(code).toBe(0)
    expect(await partitionNames(database)).not.toContain(MONTH)
  }, 60_000)
})

describe('an error on its way from the thread', () => {
  const ours = new TripwireStorageError('ARCHIVE_FAILED', 'no room', {
    hint: 'make some',
    cause: Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }),
  })
  const ofDatabase = new DatabaseError('QUERY_FAILED', 'in use', {
    hint: 'wait',
    sqlState: '55P03',
    table: 'alerts',
    column: undefined,
    constraint: 'c',
  })

  it.each([
    ['ours', ours],
    ['of the database', ofDatabase],
  ])('%s stays what it is', (_, error) => {
    const arrived = unpackError(structuredClone(packError(error)))
    expect(arrived).toBeInstanceOf(error.constructor)
    expect(arrived).toMatchObject({ ...error, message: error.message })
  })

  it('brings its cause, with the code of the system', () => {
    const { cause } = unpackError(structuredClone(packError(ours)))
    expect(cause).toBeInstanceOf(Error)
    expect(cause).toMatchObject({ message: 'no space left on device', code: 'ENOSPC' })
  })

  it('that is none of ours stays a defect, with its text and its place', () => {
    const arrived = unpackError(structuredClone(packError(new TypeError('undefined is no function'))))
    expect(arrived).not.toBeInstanceOf(TripwireStorageError)
    expect(arrived).toMatchObject({
      name: 'TypeError',
      message: 'undefined is no function',
      stack: expect.stringContaining('retention-thread.test.ts'),
    })
  })
})
