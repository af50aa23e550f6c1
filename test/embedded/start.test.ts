import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startEmbeddedPostgres } from '../../src/embedded/index.ts'
import { processRuns } from '../../src/embedded/process-status.ts'
import {
  FAST,
  failureOf,
  isLinux,
  processesIn,
  query,
  reportOf,
  spawnOwner,
  stopAfterTest,
  temporaryFolder,
} from './support.ts'

const DEBIAN_15 = '/usr/lib/postgresql/15/bin'

describe('an embedded server', { timeout: 60_000 }, () => {
  it('starts in a new folder, has the database, and stops without a trace', async () => {
    const dataDir = join(temporaryFolder(), 'deep', 'data')
    const server = stopAfterTest(
      await startEmbeddedPostgres({ dataDir, settings: { ...FAST, work_mem: '5MB' } }),
    )
    expect(server.connectionString).toMatch(/^postgres:\/\/postgres:[\w-]{32}@127\.0\.0\.1:\d+\/tripwire$/)
    expect(server).toMatchObject({ dataDir, version: expect.stringMatching(/^18\.\d+$/) })
    const sql = `SELECT current_database(), current_setting('work_mem'), current_setting('server_encoding')`
    expect(await query(server.connectionString, sql)).toEqual(['tripwire', '5MB', 'UTF8'])
    expect(statSync(join(dataDir, 'password')).mode & 0o777).toBe(0o600)
    await Promise.all([server.stop(), server.stop()])
    expect(await server.exited).toEqual({ code: 0, signal: null, expected: true })
    expect(processRuns(server.pid)).toBe(false)
    expect(existsSync(join(dataDir, 'cluster', 'postmaster.pid'))).toBe(false)
    if (isLinux) expect(processesIn(dataDir)).toEqual([])
  })

  it('refuses a wrong password', async () => {
    const server = stopAfterTest(await startEmbeddedPostgres({ dataDir: temporaryFolder(), settings: FAST }))
    const wrong = server.connectionString.replace(/postgres:[\w-]+@/, 'postgres:wrong@')
    await expect(query(wrong, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' })
  })

  it('keeps its data over a restart', async () => {
    const dataDir = temporaryFolder()
    const first = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    await query(first.connectionString, 'CREATE TABLE kept AS SELECT 42 AS answer')
    await first.stop()
    const second = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(await query(second.connectionString, 'SELECT answer FROM kept')).toEqual([42])
  })

  it('ends open connections at the stop', async () => {
    const server = stopAfterTest(await startEmbeddedPostgres({ dataDir: temporaryFolder(), settings: FAST }))
    const waiting = expect(query(server.connectionString, 'SELECT pg_sleep(600)')).rejects.toMatchObject({
      code: '57P01',
    })
    const active = `SELECT count(*)::int FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'`
    await expect.poll(() => query(server.connectionString, active), { timeout: 10_000 }).toEqual([1])
    await server.stop()
    await waiting
  })

  it('tells when the server died, and gives the folder free', async () => {
    const dataDir = temporaryFolder()
    const server = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    process.kill(server.pid, 'SIGKILL')
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL', expected: false })
    await server.stop()
    const next = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(await query(next.connectionString, 'SELECT 1')).toEqual([1])
  })

  it('has one owner at a time, in this process and in others', async () => {
    const dataDir = temporaryFolder()
    const owner = spawnOwner({ dataDir, settings: FAST })
    await reportOf(owner)
    const refused = await failureOf(startEmbeddedPostgres({ dataDir }))
    expect(refused).toMatchObject({ code: 'EMBEDDED_IN_USE', message: expect.stringContaining(dataDir) })
    expect(refused.message).toContain(`process ${owner.pid} `)
    const own = temporaryFolder()
    stopAfterTest(await startEmbeddedPostgres({ dataDir: own, settings: FAST }))
    const again = await failureOf(startEmbeddedPostgres({ dataDir: own }))
    expect(again).toMatchObject({
      code: 'EMBEDDED_IN_USE',
      message: expect.stringContaining(String(process.pid)),
    })
  })

  it.skipIf(!existsSync(DEBIAN_15))(
    `starts from binDir, and guards the version (needs ${DEBIAN_15})`,
    async () => {
      const dataDir = temporaryFolder()
      const server = stopAfterTest(
        await startEmbeddedPostgres({ dataDir, binDir: DEBIAN_15, settings: FAST }),
      )
      expect(server.version).toMatch(/^15\.\d+$/)
      expect(await query(server.connectionString, 'SELECT 1')).toEqual([1])
      await server.stop()
      expect(await failureOf(startEmbeddedPostgres({ dataDir }))).toMatchObject({
        code: 'EMBEDDED_WRONG_VERSION',
        message: expect.stringMatching(/PostgreSQL 15, not of 18/),
      })
    },
  )
})
