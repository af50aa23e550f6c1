import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Store } from '../../src/index.ts'
import { openStore } from '../store/fixtures.ts'
import { waitForWaiters } from '../store/lock-alerts.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { startWireProxy, type WireProxy } from '../support/wire-proxy.ts'
import { connectClient, contentOf, insertHost, makeMonth } from './fixtures.ts'

const database = useTestDatabase()
const FIXTURE = fileURLToPath(new URL('./retain.fixture.ts', import.meta.url))
const MONTH = '2024-05'
const NAME = 'alerts_y2024m05'
let store: Store
let hostId: string

beforeAll(async () => {
  await database.sql('DROP TABLE alerts_y2026m02')
  store = await openStore(database)
  hostId = await insertHost(database)
})
afterAll(() => store.close())
afterEach(async () => {
  await database.sql(`DROP TABLE IF EXISTS ${NAME}`)
  await database.sql('DELETE FROM alert_partition_retirements; DELETE FROM restored_alert_partitions')
})

function archiveFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tripwire-archive-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const isThere = async () =>
  (await database.sql(`SELECT to_regclass('${NAME}') IS NOT NULL AS present`))[0]?.['present'] === true

/**
 * What must hold after every cut: the month is there with all its rows, or its archive is. A rerun finishes, and what it leaves
 * gives back the same rows.
 */
async function expectNothingLost(archiveDir: string, expected: unknown): Promise<void> {
  if (await isThere()) expect(await contentOf(database, NAME)).toEqual(expected)
  const { failures } = await store.applyRetention({ keepMonths: 1, archiveDir })
  expect(failures).toEqual([])
  expect(await isThere()).toBe(false)
  const manifests = (await readdir(archiveDir)).filter(name => name.endsWith('.manifest.json'))
  expect(manifests).toHaveLength(1)
  expect((await readdir(archiveDir)).filter(name => name.includes('tmp'))).toEqual([])
  const dropped = await database.sql(
    `SELECT archive_rows FROM alert_partition_retirements WHERE partition_name = '${NAME}' AND dropped_at IS NOT NULL`,
  )
  expect(dropped).toHaveLength(1)
  await store.restorePartition(join(archiveDir, manifests[0] ?? ''))
  expect(await contentOf(database, NAME)).toEqual(expected)
}

describe('F26: a retention whose connection breaks', () => {
  const ROWS = 40

  /** How many statements a retention sends, in each of the two protocols. */
  async function countStatements(proxy: WireProxy): Promise<{ Query: number; Sync: number }> {
    await makeMonth(database, MONTH, hostId, ROWS)
    const seen = { Query: 0, Sync: 0 }
    const count = (message: 'Query' | 'Sync') =>
      proxy.inject({ when: { from: 'client', message }, action: { delayMs: 0 }, times: 1000 })
    const faults = { Query: count('Query'), Sync: count('Sync') }
    await using through = await openStore(proxy)
    // Not those of the opening.
    const before = { Query: faults.Query.count, Sync: faults.Sync.count }
    await through.applyRetention({ keepMonths: 1, archiveDir: archiveFolder() })
    seen.Query = faults.Query.count - before.Query
    seen.Sync = faults.Sync.count - before.Sync
    faults.Query.remove()
    faults.Sync.remove()
    return seen
  }

  it('at any statement, not applied or applied, loses nothing, and a rerun finishes', async () => {
    const proxy = await startWireProxy({ target: database.connectionString })
    onTestFinished(() => proxy.close())
    const counts = await countStatements(proxy)
    expect(counts.Query).toBeGreaterThan(10)
    expect(counts.Sync).toBeGreaterThan(5)
    await database.sql('DELETE FROM alert_partition_retirements')
    for (const message of ['Query', 'Sync'] as const) {
      for (const action of ['cut-before', 'cut-after'] as const) {
        for (let nth = 1; nth <= counts[message]; nth++) {
          await makeMonth(database, MONTH, hostId, ROWS)
          const expected = await contentOf(database, NAME)
          const archiveDir = archiveFolder()
          const through = await openStore(proxy, { closeTimeoutMs: 500 })
          const fault = proxy.inject({ when: { from: 'client', message, nth }, action })
          await through.applyRetention({ keepMonths: 1, archiveDir }).catch(() => undefined)
          expect(fault.count, `${action} ${message} ${nth}`).toBe(1)
          await fault.settled
          await through.close()
          await expectNothingLost(archiveDir, expected)
          await database.sql(`DROP TABLE ${NAME}; DELETE FROM alert_partition_retirements`)
          await database.sql('DELETE FROM restored_alert_partitions')
        }
      }
    }
  }, 300_000)
})

describe('F26: a retention that is killed', () => {
  async function startRetaining(rows: number) {
    await makeMonth(database, MONTH, hostId, rows)
    const expected = await contentOf(database, NAME)
    const archiveDir = archiveFolder()
    const child = spawn(process.execPath, [FIXTURE, database.connectionString, archiveDir], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const ended = once(child, 'exit')
    const kill = async () => {
      child.kill('SIGKILL')
      await ended
      await database.sql(
        `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'retain until killed'`,
      )
    }
    onTestFinished(() => void child.kill('SIGKILL'))
    return { archiveDir, expected, kill }
  }

  /** A file of the month is there. The one that tells whether the folder can be written is none. */
  async function archiveBegins(archiveDir: string): Promise<void> {
    await expect
      .poll(async () => (await readdir(archiveDir)).some(name => name.includes(NAME)), {
        timeout: 20_000,
        interval: 1,
      })
      .toBe(true)
  }

  it('F22: between the two halves of the detachment', async () => {
    await using reader = await connectClient(database.directConnectionString)
    await reader.query('BEGIN')
    await reader.query('SELECT FROM alerts')
    const { archiveDir, expected, kill } = await startRetaining(50)
    await expect
      .poll(
        async () =>
          (
            await database.sql(
              `SELECT FROM pg_inherits WHERE inhparent = 'alerts'::regclass AND inhdetachpending`,
            )
          ).length,
        { timeout: 20_000 },
      )
      .toBe(1)
    await kill()
    await reader.query('ROLLBACK')
    await expectNothingLost(archiveDir, expected)
  })

  it('in the midst of an archive', async () => {
    const { archiveDir, expected, kill } = await startRetaining(30_000)
    await archiveBegins(archiveDir)
    await kill()
    expect((await readdir(archiveDir)).filter(name => name.endsWith('.manifest.json'))).toEqual([])
    await expectNothingLost(archiveDir, expected)
  })

  it('between the archive and the drop', async () => {
    const { archiveDir, expected, kill } = await startRetaining(5000)
    // The drop, and it alone, has to wait for a reader of the detached table.
    await using reader = await connectClient(database.directConnectionString)
    await archiveBegins(archiveDir)
    await reader.query('BEGIN')
    await reader.query(`SELECT FROM ${NAME}`)
    await waitForWaiters(database, 1)
    await kill()
    await reader.query('ROLLBACK')
    expect((await readdir(archiveDir)).filter(name => name.endsWith('.manifest.json'))).toHaveLength(1)
    await expectNothingLost(archiveDir, expected)
  })
})
