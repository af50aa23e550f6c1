import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startEmbeddedPostgres } from '../../src/embedded/index.ts'
import { processRuns } from '../../src/embedded/process-status.ts'
import {
  FAST,
  failureOf,
  isLinux,
  killHard,
  processesIn,
  query,
  reportOf,
  spawnOwner,
  stopAfterTest,
  temporaryFolder,
  until,
  untilGone,
} from './support.ts'

const FILL = 'CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n'
const COUNT = 'SELECT count(*)::int FROM kept'

describe('after a crash', { timeout: 60_000 }, () => {
  it('of the owner and the server, the next start recovers the data', async () => {
    const dataDir = temporaryFolder()
    const owner = spawnOwner({ dataDir, settings: { full_page_writes: 'off' } })
    const { pid, connectionString } = await reportOf(owner)
    await query(connectionString, FILL)
    await killHard(owner)
    process.kill(pid, 'SIGKILL')
    const server = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(await query(server.connectionString, COUNT)).toEqual([1000])
  })

  it('of the owner only, the next start ends its server and takes the folder over', async () => {
    const dataDir = temporaryFolder()
    const owner = spawnOwner({ dataDir, settings: FAST })
    const { pid, connectionString } = await reportOf(owner)
    await query(connectionString, FILL)
    await killHard(owner)
    expect(await query(connectionString, COUNT)).toEqual([1000])
    const server = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(processRuns(pid)).toBe(false)
    expect(server.pid).not.toBe(pid)
    expect(await query(server.connectionString, COUNT)).toEqual([1000])
  })

  it('a process that got the id of the server is left alone', async () => {
    const dataDir = temporaryFolder()
    const first = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    const pidFile = join(dataDir, 'cluster', 'postmaster.pid')
    const content = readFileSync(pidFile, 'utf8')
    await first.stop()
    const bystander = spawn('sleep', ['600'])
    const gone = once(bystander, 'exit')
    onTestFinished(async () => {
      bystander.kill()
      await gone
    })
    await once(bystander, 'spawn')
    writeFileSync(pidFile, content.replace(/^\d+/, String(bystander.pid)))
    const second = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(await query(second.connectionString, 'SELECT 1')).toEqual([1])
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull()
  })

  it('a server of another folder under that id is left alone', async () => {
    const dataDir = temporaryFolder()
    const first = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    await first.stop()
    const other = stopAfterTest(await startEmbeddedPostgres({ dataDir: temporaryFolder(), settings: FAST }))
    const otherFile = readFileSync(join(other.dataDir, 'cluster', 'postmaster.pid'), 'utf8')
    writeFileSync(join(dataDir, 'cluster', 'postmaster.pid'), otherFile)
    const second = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(await query(second.connectionString, 'SELECT 1')).toEqual([1])
    expect(await query(other.connectionString, 'SELECT 1')).toEqual([1])
  })

  it('an empty postmaster.pid does not stand in the way', async () => {
    const dataDir = temporaryFolder()
    const first = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    await first.stop()
    writeFileSync(join(dataDir, 'cluster', 'postmaster.pid'), '')
    const second = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(await query(second.connectionString, 'SELECT 1')).toEqual([1])
  })

  it('in the middle of initdb, nothing stands in the way', async () => {
    const dataDir = temporaryFolder()
    const owner = spawnOwner({ dataDir })
    const halfMade = () => readdirSync(dataDir).filter(name => existsSync(join(dataDir, name, 'base')))
    await until(() => halfMade().length > 0)
    const left = halfMade()
    await killHard(owner)
    expect(left).not.toEqual(['cluster'])
    const server = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(await query(server.connectionString, 'SELECT 1')).toEqual([1])
    await server.stop()
    if (isLinux) await until(() => processesIn(dataDir).length === 0)
  })
})

describe('a start that fails', { timeout: 60_000 }, () => {
  it('shows the log, leaves no process and gives the folder free', async () => {
    const dataDir = temporaryFolder()
    const refused = await failureOf(
      startEmbeddedPostgres({ dataDir, settings: { ...FAST, work_mem: 'plenty' } }),
    )
    expect(refused).toMatchObject({
      code: 'EMBEDDED_START_FAILED',
      message: expect.stringContaining('invalid value for parameter "work_mem"'),
      hint: expect.stringContaining(join(dataDir, 'server.log')),
    })
    if (isLinux) expect(processesIn(dataDir)).toEqual([])
    stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
  })

  it('for lack of time leaves no process and gives the folder free', async () => {
    const dataDir = temporaryFolder()
    for (const startTimeoutMs of [1, 100]) {
      const refused = await failureOf(startEmbeddedPostgres({ dataDir, settings: FAST, startTimeoutMs }))
      expect(refused).toMatchObject({
        code: 'EMBEDDED_START_FAILED',
        message: expect.stringContaining('in time'),
      })
      if (isLinux) expect(processesIn(dataDir)).toEqual([])
    }
    const first = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    await first.stop()
    const late = await failureOf(startEmbeddedPostgres({ dataDir, settings: FAST, startTimeoutMs: 1 }))
    expect(late).toMatchObject({ code: 'EMBEDDED_START_FAILED', message: expect.stringContaining('in time') })
    if (isLinux) expect(processesIn(dataDir)).toEqual([])
    await untilGone(first.pid)
  })

  it('names the folder that is not a cluster', async () => {
    const dataDir = temporaryFolder()
    mkdirSync(join(dataDir, 'cluster'))
    const refused = await failureOf(startEmbeddedPostgres({ dataDir }))
    expect(refused).toMatchObject({
      code: 'EMBEDDED_START_FAILED',
      message: expect.stringContaining(dataDir),
    })
  })
})
