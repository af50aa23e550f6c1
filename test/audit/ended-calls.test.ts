/** Calls that end before they are done: by their caller, by the store that closes, by a listener that throws. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateAuditKey, type Store, TripwireStorageError } from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { waitForWaiters } from '../store/lock-alerts.ts'
import { useTestDatabase } from '../support/test-database.ts'

const database = useTestDatabase()
const key = generateAuditKey('example.com/audit')
let store: Store
let folder: string
let hostId: string
let checkpoint: string
let bundle: string
let filesBefore: readonly string[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tripwire-ended-'))
  store = await openStore(database)
  hostId = await newHost(store)
  await store.appendAuditEntries(hostId, [{ n: 1 }, { n: 2 }, { n: 3 }])
  checkpoint = join(folder, 'now.checkpoint')
  await store.createAuditCheckpoint({ key: key.privateKey, out: checkpoint })
  bundle = join(folder, 'all.evidence')
  await exportBy(store, bundle)
  filesBefore = (await readdir(folder)).sort()
})
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true, force: true })
})

const exportBy = (by: Store, out: string, signal?: AbortSignal) =>
  by.exportAuditEvidence({ hostId, checkpoint, key: key.publicKey, out, signal })
const pruneBy = (by: Store, signal?: AbortSignal) =>
  by.pruneAuditChain({ hostId, bundle, key: key.privateKey, actor: 'alice', signal })

/** Nothing was written, nothing deleted, and no statement runs. */
async function expectUntouched(): Promise<void> {
  expect((await readdir(folder)).sort()).toEqual(filesBefore)
  await expect
    .poll(() =>
      database.sql(
        `SELECT query FROM pg_stat_activity WHERE state <> 'idle' AND datname = current_database() AND pid <> pg_backend_pid()`,
      ),
    )
    .toEqual([])
  expect(await store.verifyAuditChain({ hostId, checkpoint, key: key.publicKey })).toMatchObject({
    verdict: 'intact',
    entries: 3,
  })
}

/** Another client that holds the log, so that whoever reads or writes it waits. */
async function lockLog(): Promise<AsyncDisposable> {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  await client.query('BEGIN; LOCK TABLE audit_entries IN ACCESS EXCLUSIVE MODE')
  return { [Symbol.asyncDispose]: () => client.end() }
}

describe.each([
  ['an export', (by: Store, signal?: AbortSignal) => exportBy(by, join(folder, 'other.evidence'), signal)],
  ['a pruning', pruneBy],
])('%s', (_, call) => {
  it('does not begin for a caller that has given up', async () => {
    const reason = new Error('enough')
    expect(await rejection(call(store, AbortSignal.abort(reason)))).toBe(reason)
    await expectUntouched()
  })

  it('ends with the reason when its caller gives up meanwhile', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    {
      await using _log = await lockLog()
      const ended = rejection(call(store, abort.signal))
      await waitForWaiters(database, 1)
      abort.abort(reason)
      expect(await ended).toBe(reason)
    }
    await expectUntouched()
  })

  it('ends when the store closes', async () => {
    const other = await openStore(database, { closeTimeoutMs: 30_000 })
    {
      await using _log = await lockLog()
      const ended = rejection(call(other))
      await waitForWaiters(database, 1)
      await other.close()
      expect(await ended).toMatchObject({ code: 'STORE_CLOSED' })
    }
    await expectUntouched()
  })

  it('refuses a signal that is none', async () => {
    // @ts-expect-error: not every caller has types.
    expect(await rejection(call(store, 'now'))).toMatchObject({ field: 'options.signal' })
  })
})

describe('a listener that throws', () => {
  const errors = [
    new Error('a progress bar that broke'),
    // As of a log that cannot be read, which would be a finding.
    new TripwireStorageError('MALFORMED_ROW', 'not of the log'),
  ]
  const throwing = (error: Error, call: number) => {
    let calls = 0
    return () => {
      if (++calls === call) throw error
    }
  }

  it.each(errors)('ends a verification with its error: %s', async error => {
    for (const call of [1, 2]) {
      const onProgress = throwing(error, call)
      expect(await rejection(store.verifyAuditChain({ onProgress }))).toBe(error)
      await expectUntouched()
    }
  })

  it.each(errors)('ends a checkpoint with its error, and nothing is signed: %s', async error => {
    const options = { key: key.privateKey, folder, onProgress: throwing(error, 1) }
    expect(await rejection(store.createAuditCheckpoint(options))).toBe(error)
    await expectUntouched()
  })

  it('takes no connection from the store, however often', async () => {
    for (let count = 0; count < 20; count++) {
      const onProgress = throwing(new Error('again'), 1)
      expect(await rejection(store.verifyAuditChain({ onProgress }))).toMatchObject({ message: 'again' })
    }
    await expectUntouched()
  })
})
