import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readCheckpoint } from '../../src/audit/checkpoint/checkpoint-files.ts'
import { readVerifier } from '../../src/audit/note/key-files.ts'
import { generateAuditKey, type Store } from '../../src/index.ts'
import { newHost, openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'

const WRITERS = 8
const CHECKPOINTS = 15

const database = useTestDatabase()
const key = generateAuditKey('example.com/audit')
let store: Store
let folder: string

beforeAll(async () => {
  store = await openStore(database)
  folder = await mkdtemp(join(tmpdir(), 'tripwire-checkpoints-'))
})
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true, force: true })
})

it('F30 checkpoints beside writers raise no false alarm, and each holds what is verified', async () => {
  const hosts = await Promise.all(Array.from({ length: WRITERS }, () => newHost(store)))
  const stores = await Promise.all(hosts.map(() => openStore(database)))
  let isDone = false
  let written = 0
  const write = async (writer: Store, index: number) => {
    for (let count = 0; !isDone; count++) {
      const hostId = hosts[(index + count) % 3] ?? ''
      const own = hosts[index] ?? ''
      await writer.appendAuditEntries(hostId, [
        { index, count },
        { index, count, again: true },
      ])
      await writer.appendAuditEntries(own, [{ index, count }])
      written += 3
    }
  }
  const writers = stores.map(write)
  let verified = 0
  try {
    for (let made = 0; made < CHECKPOINTS; made++) {
      const checkpoint = await store.createAuditCheckpoint({ key: key.privateKey, folder })
      verified += checkpoint.verifiedEntries
      expect(checkpoint.entries).toBe(verified)
      expect(checkpoint.unprotectedEntries).toBe(0)
    }
  } finally {
    isDone = true
    await Promise.all(writers)
    await Promise.all(stores.map(each => each.close()))
  }
  expect(verified).toBeGreaterThan(0)
  const last = await store.createAuditCheckpoint({ key: key.privateKey, folder })
  expect(last.entries).toBe(written)
  // Every one of them is still true of the log, from whose beginning all entries verify.
  const trusted = [await readVerifier('key', key.publicKey)]
  const names = (await readdir(folder)).filter(name => name.endsWith('.checkpoint')).sort()
  expect(names).toHaveLength(CHECKPOINTS + 1)
  let before = 0n
  for (const name of names) {
    const path = join(folder, name)
    const { checkpoint } = await readCheckpoint('file', path, trusted)
    expect(checkpoint.entries >= before).toBe(true)
    before = checkpoint.entries
    expect(await store.verifyAuditChain({ checkpoint: path, key: key.publicKey })).toMatchObject({
      verdict: 'intact',
      entries: written,
    })
  }
})
