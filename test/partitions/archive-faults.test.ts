import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { dropArchivedTable } from '../../src/partitions/archive/drop-archived-table.ts'
import type { Archive } from '../../src/partitions/archive/manifest.ts'
import { verifyArchive } from '../../src/partitions/archive/verify-archive.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { restorePartition } from '../../src/partitions/restore-partition.ts'
import type { Database } from '../../src/pg/database.ts'
import { rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import type { FaultSpec } from '../support/wire-proxy.ts'
import {
  archiveFolder,
  archiveRequest,
  detachedMonth,
  imageOf,
  openDatabase,
  openProxy,
  type TestMonth,
  tableExists,
} from './archive-support.ts'

const database = useTestDatabase()

function drop(db: Database, archive: Archive, month: TestMonth, signal?: AbortSignal): Promise<void> {
  return db.transaction(transaction => dropArchivedTable(transaction, archive, month.table, signal))
}

const atQuery = (text: RegExp, nth = 1): FaultSpec => ({
  when: { from: 'client', message: 'Query', text, nth },
  action: 'cut-before',
})

/** Where some hundred alerts of the table are read. */
const atPage = (nth: number): FaultSpec => atQuery(/WITH TIES/, nth)

const AT_COMMIT = atQuery(/^COMMIT/)
const AFTER_COMMIT: FaultSpec = { ...AT_COMMIT, action: 'cut-after' }

/** A month of several fetches, a folder, and a connection that can be cut. */
async function prepare(count = 1500) {
  const proxy = await openProxy(database)
  const month = await detachedMonth(database, count)
  const folder = await archiveFolder()
  const before = await imageOf(database, month.table)
  return { proxy, through: openDatabase(proxy), db: openDatabase(database), month, folder, before }
}

async function expectComeBack(
  db: Database,
  archive: Archive,
  month: TestMonth,
  before: unknown,
): Promise<void> {
  await drop(db, archive, month)
  expect(await tableExists(database, month.table)).toBe(false)
  await restorePartition(db, archive.manifestPath)
  expect(await imageOf(database, month.table)).toEqual(before)
}

describe('F26: an archive whose connection is cut', () => {
  it.each([
    ['at its first statement', atQuery(/^\s*SET TRANSACTION/)],
    ['at the lock', atQuery(/^LOCK TABLE/)],
    ['at the first row', atPage(1)],
    ['in the midst of the rows', atPage(3)],
  ])('%s leaves nothing, and a rerun makes it', async (_, fault) => {
    const { proxy, through, db, month, folder, before } = await prepare()
    const cut = proxy.inject(fault)
    expect(await rejection(writeArchive(through, archiveRequest(month, folder)))).toMatchObject({
      code: 'CONNECTION_FAILED',
    })
    await cut.settled
    expect(await readdir(folder)).toEqual([])
    await expectComeBack(db, await writeArchive(db, archiveRequest(month, folder)), month, before)
  })

  it.each([
    ['before it can end its transaction', AT_COMMIT],
    ['when its transaction has ended', AFTER_COMMIT],
  ])('%s is finished, and a rerun takes it', async (_, fault) => {
    const { proxy, through, db, month, folder, before } = await prepare()
    const cut = proxy.inject(fault)
    await rejection(writeArchive(through, archiveRequest(month, folder)))
    await cut.settled
    const archive = await writeArchive(db, archiveRequest(month, folder))
    expect(await readdir(folder)).toHaveLength(2)
    await expectComeBack(db, archive, month, before)
  })
})

describe('F26: a drop whose connection is cut', () => {
  it.each([
    ['at the lock', atQuery(/^LOCK TABLE/)],
    ['in the midst of the rows', atPage(3)],
    ['at the drop', atQuery(/^DROP TABLE/)],
    ['before it is committed', AT_COMMIT],
  ])('%s drops nothing, and a rerun does', async (_, fault) => {
    const { proxy, through, db, month, folder, before } = await prepare()
    const archive = await writeArchive(db, archiveRequest(month, folder))
    const cut = proxy.inject(fault)
    expect(await rejection(drop(through, archive, month))).toMatchObject({ code: 'CONNECTION_FAILED' })
    await cut.settled
    expect(await imageOf(database, month.table)).toEqual(before)
    await expectComeBack(db, await writeArchive(db, archiveRequest(month, folder)), month, before)
  })

  it('when it was committed has dropped what the archive holds', async () => {
    const { proxy, through, db, month, folder, before } = await prepare()
    const archive = await writeArchive(db, archiveRequest(month, folder))
    const cut = proxy.inject(AFTER_COMMIT)
    expect(await rejection(drop(through, archive, month))).toMatchObject({ code: 'CONNECTION_FAILED' })
    await cut.settled
    expect(await tableExists(database, month.table)).toBe(false)
    await restorePartition(db, archive.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(before)
  })
})

describe('the signal', () => {
  it('ends an archive with its reason, and nothing is left', async () => {
    const { proxy, through, db, month, folder, before } = await prepare()
    const stop = new AbortController()
    const reason = new Error('the store closes')
    const slow = proxy.inject({ ...atPage(2), action: { delayMs: 20 } })
    void slow.fired.then(() => stop.abort(reason))
    const request = { ...archiveRequest(month, folder), signal: stop.signal }
    expect(await rejection(writeArchive(through, request))).toBe(reason)
    expect(await readdir(folder)).toEqual([])
    expect(await rejection(writeArchive(through, request))).toBe(reason)
    await expectComeBack(db, await writeArchive(db, archiveRequest(month, folder)), month, before)
  })

  it('ends a drop with its reason, and nothing is dropped', async () => {
    const { proxy, through, db, month, folder, before } = await prepare()
    const archive = await writeArchive(db, archiveRequest(month, folder))
    const stop = new AbortController()
    const reason = new DOMException('the store closes', 'AbortError')
    const slow = proxy.inject({ ...atPage(2), action: { delayMs: 20 } })
    void slow.fired.then(() => stop.abort(reason))
    expect(await rejection(drop(through, archive, month, stop.signal))).toBe(reason)
    await expectComeBack(db, archive, month, before)
  })

  it('ends a verification with its reason', async () => {
    const { db, month, folder } = await prepare()
    const archive = await writeArchive(db, archiveRequest(month, folder))
    const stop = new AbortController()
    const verifying = rejection(verifyArchive(archive, stop.signal))
    stop.abort()
    expect(await verifying).toBe(stop.signal.reason)
  })
})

const FIXTURE = fileURLToPath(new URL('./archive-until-killed.fixture.ts', import.meta.url))

/** A process that archives and drops, and how far it says it is. */
function startArchiving(month: TestMonth, folder: string) {
  const child = spawn(
    process.execPath,
    [FIXTURE, database.connectionString, folder, month.table, month.from, month.to],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  const said: string[] = []
  const lines = createInterface(child.stdout)
  lines.on('line', line => said.push(line))
  const ended = once(lines, 'close')
  return {
    said,
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
    ended,
  }
}

/** The table is locked against writers: the drop has begun. */
async function isBeingDropped(table: string): Promise<boolean> {
  const locks = await database.sql(
    `SELECT FROM pg_locks WHERE relation = '${table}'::regclass AND mode = 'ShareRowExclusiveLock' AND granted`,
  )
  return locks.length > 0
}

it('F26: a process that is killed at any step has lost nothing, and a rerun finishes', async () => {
  const db = openDatabase(database)
  const folder = await archiveFolder()
  const month = await detachedMonth(database, 10_000)
  const before = await imageOf(database, month.table)
  const names = [`${month.table}.manifest.json`, `${month.table}.ndjson.gz`]
  const killedWhen = async (isThere: (said: readonly string[]) => Promise<boolean> | boolean) => {
    const run = startArchiving(month, folder)
    const isTime = expect.poll(() => isThere(run.said), { timeout: 20_000, interval: 1 }).toBe(true)
    const endedBefore = run.ended.then(() => Promise.reject(new Error(`it ended after ${run.said.at(-1)}`)))
    await Promise.race([isTime, endedBefore])
    await run.kill()
    expect(await imageOf(database, month.table)).toEqual(before)
    // The server learns of it later, and keeps the locks until then.
    await expect.poll(() => sessionsAtWork('archive until killed'), { timeout: 20_000, interval: 10 }).toBe(0)
    return (await readdir(folder)).sort()
  }
  expect(await killedWhen(said => said.includes('started'))).not.toContain(names[0])
  const isWriting = async () => (await readdir(folder)).length > 0
  expect(await killedWhen(isWriting)).toEqual([expect.stringMatching(/^\..+\.tmp$/)])
  expect(await killedWhen(said => said.includes('archived'))).toEqual(names)
  expect(await killedWhen(() => isBeingDropped(month.table))).toEqual(names)
  const last = startArchiving(month, folder)
  await last.ended
  expect(last.said).toEqual(['started', 'archived', 'dropped'])
  expect(await tableExists(database, month.table)).toBe(false)
  expect((await readdir(folder)).sort()).toEqual(names)
  await restorePartition(db, join(folder, `${month.table}.manifest.json`))
  expect(await imageOf(database, month.table)).toEqual(before)
}, 60_000)

/** A session that is idle holds nothing. A pooler keeps it under the name of its last client. */
async function sessionsAtWork(applicationName: string): Promise<number> {
  const rows = await database.sql(
    `SELECT FROM pg_stat_activity WHERE datname = '${database.name}' AND application_name = '${applicationName}' AND state <> 'idle'`,
  )
  return rows.length
}
