import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { unprotectedLinkHash } from '../../src/audit/link-hash.ts'
import { parseSigner } from '../../src/audit/note/audit-key.ts'
import { signNote } from '../../src/audit/note/signed-note.ts'
import { manifestText } from '../../src/audit/pruning/pruning-manifest.ts'
import {
  type AuditVerification,
  generateAuditKey,
  type Store,
  type VerifyAuditOptions,
} from '../../src/index.ts'
import { openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { append, type EntryKind, newChain, tamper } from './signed-chains.ts'
import { verificationText } from './verification-text.ts'

const database = useTestDatabase()
const key = generateAuditKey('example.com/audit')
let store: Store
let folder = ''
let hostId = ''
let signed = 0

beforeAll(async () => {
  store = await openStore(database)
  folder = await mkdtemp(join(tmpdir(), 'tripwire-pruned-'))
})
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})
beforeEach(async () => {
  await tamper(database, 'TRUNCATE audit_entries, audit_prunings')
  hostId = await newChain(database)
})

async function sign(): Promise<string> {
  const out = join(folder, `${signed++}.checkpoint`)
  await store.createAuditCheckpoint({ key: key.privateKey, out })
  return out
}

const verify = (options: VerifyAuditOptions = {}): Promise<AuditVerification> =>
  store.verifyAuditChain({ key: key.publicKey, ...options })
const found = async (options: VerifyAuditOptions = {}) =>
  verificationText(await verify(options), { H: hostId })

async function entryAt(sequenceNum: number) {
  const [row = {}] = await database.sql(
    `SELECT event_hash, row_hash, hash_version, created_at::text FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num = ${sequenceNum}`,
  )
  const eventHash = String(row['event_hash'])
  const linkHash =
    row['hash_version'] === 0 ? unprotectedLinkHash(eventHash) : String(row['row_hash'] ?? eventHash)
  return { eventHash, linkHash, createdAt: String(row['created_at']) }
}

/** Prunes a chain without exporting it, under a manifest that is signed all the same; the next entry is said to record it. */
async function prune(first: number, through: number): Promise<void> {
  const { eventHash, linkHash, createdAt } = await entryAt(through)
  const signer = parseSigner(key.privateKey)
  const text = manifestText({
    hostId,
    first: String(first),
    through: String(through),
    eventHash,
    linkHash,
    bundleSha256: '0'.repeat(64),
    recordedAs: String(through + 1),
    recordLinkHash: (await entryAt(through + 1)).linkHash,
    time: '2026-03-01T10:00:00.000000Z',
  })
  await tamper(
    database,
    `INSERT INTO audit_prunings (host_id, through_sequence, through_event_hash, through_link_hash, through_created_at, manifest)
     VALUES ('${hostId}', ${through}, '${eventHash}', '${linkHash}', '${createdAt}', '${signNote(text, signer ? [signer] : [])}');
     DELETE FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num BETWEEN ${first} AND ${through}`,
  )
}

describe('a chain that was pruned (F35)', () => {
  it.each<EntryKind>(['own', 'given'])(
    'is intact from there on, with entries of the kind "%s"',
    async kind => {
      await append(database, hostId, 9, kind)
      await prune(1, 4)
      const verification = await verify()
      expect(verification).toMatchObject({
        verdict: 'intact',
        entries: 5,
        prunings: { chains: 1, verified: 1 },
      })
      expect(verification.notChecked).toContain('pruned-entries')
    },
  )

  it('several times is intact, and every pruning is needed', async () => {
    await append(database, hostId, 9)
    await prune(1, 2)
    await prune(3, 5)
    await prune(6, 6)
    expect(await found()).toBe('intact')
    const without = async (through: number) => {
      await tamper(
        database,
        `CREATE TABLE pruned AS TABLE audit_prunings; DELETE FROM audit_prunings WHERE through_sequence = ${through}`,
      )
      const text = await found()
      await tamper(
        database,
        'TRUNCATE audit_prunings; INSERT INTO audit_prunings SELECT * FROM pruned; DROP TABLE pruned',
      )
      return text
    }
    expect(await without(2)).toBe('damaged: pruning-altered H5')
    expect(await without(5)).toBe('damaged: pruning-altered H6')
    expect(await without(6)).toBe('damaged: gap H6')
  })

  it('of entries that nothing protected, and of some of them', async () => {
    await append(database, hostId, 4, 'unprotected')
    await append(database, hostId, 4)
    await prune(1, 2)
    expect(await found()).toBe('cannot-tell: unprotected H4')
    await prune(3, 4)
    expect(await found()).toBe('intact')
    await tamper(database, `UPDATE audit_entries SET hash_version = 0, payload = '{}' WHERE sequence_num = 5`)
    expect(await found()).toBe('damaged: altered-row H5, rewritten H5, unprotected H5')
  })

  it('is damaged where entries stand that were pruned', async () => {
    await append(database, hostId, 9)
    await database.sql('CREATE TABLE kept AS TABLE audit_entries')
    await prune(1, 4)
    await tamper(database, 'INSERT INTO audit_entries SELECT * FROM kept WHERE sequence_num IN (2, 4)')
    await database.sql('DROP TABLE kept')
    expect(await found()).toBe('damaged: pruning-altered H2, pruning-altered H4')
  })

  it('is damaged where the first entry after it is missing, or does not continue it', async () => {
    await append(database, hostId, 9)
    await prune(1, 4)
    await tamper(database, `UPDATE audit_entries SET payload = '{}' WHERE sequence_num = 5`)
    expect(await found()).toBe('damaged: altered-row H5')
    await tamper(database, 'DELETE FROM audit_entries WHERE sequence_num = 5')
    expect(await found()).toBe('damaged: gap H5')
    await tamper(database, 'DELETE FROM audit_entries')
    expect(await found()).toBe('damaged: tail-missing H5')
  })

  it('cannot be told without the key', async () => {
    await append(database, hostId, 9)
    await prune(1, 4)
    expect(verificationText(await store.verifyAuditChain(), { H: hostId })).toBe(
      'cannot-tell: pruning-unverified H4',
    )
    const other = generateAuditKey('example.com/audit').publicKey
    expect(await found({ key: other })).toBe('cannot-tell: pruning-unverified H4')
  })

  it('fits checkpoints from before, from its edge, and from after', async () => {
    const others = [await newChain(database), await newChain(database)]
    const checkpoints: string[] = []
    for (const _ of [1, 2, 3]) {
      for (const each of [hostId, ...others]) await append(database, each, 3)
      checkpoints.push(await sign())
    }
    await prune(1, 6)
    for (const checkpoint of checkpoints) expect(await found({ checkpoint })).toBe('intact')
    await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num > 8`)
    const [before, edge, after] = checkpoints
    expect(await found({ checkpoint: before })).toBe('intact')
    expect(await found({ checkpoint: edge })).toBe('intact')
    expect(await found({ checkpoint: after })).toBe('damaged: tail-missing H9')
  })

  it('and then written anew does not fit the checkpoint at its edge', async () => {
    await append(database, hostId, 6)
    const checkpoint = await sign()
    await tamper(database, 'DELETE FROM audit_entries')
    await append(database, hostId, 8, 'own', 'nothing-happened')
    await prune(1, 6)
    expect(await found()).toBe('intact')
    expect(await found({ checkpoint })).toBe('damaged: pruning-altered H6')
  })

  it('among many that were, and some whose host has nothing else', async () => {
    const names: Record<string, string> = {}
    for (let index = 0; index < 100; index++) {
      hostId = await newChain(database)
      await append(database, hostId, 3)
      await prune(1, 2)
      names[`H${index} `] = hostId
    }
    expect(await verify()).toMatchObject({
      verdict: 'intact',
      hosts: 100,
      prunings: { chains: 100, verified: 100 },
    })
    await tamper(
      database,
      `DELETE FROM audit_entries WHERE host_id IN (SELECT host_id FROM audit_entries ORDER BY host_id DESC LIMIT 70)`,
    )
    const { findingsByKind, hosts } = await verify({ maxFindings: 10 })
    expect([hosts, findingsByKind]).toEqual([30, { 'tail-missing': 70 }])
  })

  it('of one host is told when that one alone is verified', async () => {
    await append(database, hostId, 5)
    await prune(1, 2)
    const pruned = hostId
    hostId = await newChain(database)
    await append(database, hostId, 3)
    expect(await verify({ hostId: pruned })).toMatchObject({
      verdict: 'intact',
      entries: 3,
      prunings: { chains: 1 },
    })
    expect(await verify({ hostId })).toMatchObject({ verdict: 'intact', entries: 3, prunings: { chains: 0 } })
  })
})
