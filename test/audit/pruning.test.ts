import { mkdtempSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { generateAuditKey, type Store, verifyAuditEvidence } from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { startWireProxy } from '../support/wire-proxy.ts'
import { rewrite, tamper } from './signed-chains.ts'

const database = useTestDatabase()
const folder = mkdtempSync(join(tmpdir(), 'tripwire-pruning-'))
const key = generateAuditKey('example.com/audit')
const other = generateAuditKey('example.com/other')
let store: Store
let hostId: string
let files = 0
const nextFile = (end: string) => join(folder, `${files++}${end}`)

beforeAll(async () => {
  store = await openStore(database)
})
beforeEach(async () => {
  hostId = await newHost(store)
  for (let n = 1; n <= 6; n++) await store.appendAuditEntries(hostId, [{ n }])
})
afterEach(async () => {
  // What a test damaged must not stand under the checkpoints of the next one.
  await tamper(
    database,
    `DELETE FROM audit_entries WHERE host_id = '${hostId}'; DELETE FROM audit_prunings WHERE host_id = '${hostId}'`,
  )
})
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true, force: true })
})

async function sign(): Promise<string> {
  const out = nextFile('.checkpoint')
  await store.createAuditCheckpoint({ key: key.privateKey, out })
  return out
}

/** A bundle of the entries from one number to another. */
async function bundleOf(first: number, last: number): Promise<string> {
  const entries = await store.queryAuditEntries({ hostId })
  const at = (number: number) => entries.find(({ sequenceNum }) => sequenceNum === number)?.createdAt
  const out = nextFile('.evidence')
  await store.exportAuditEvidence({
    hostId,
    checkpoint: await sign(),
    key: key.publicKey,
    out,
    ...(first > 1 ? { from: at(first) } : {}),
    to: at(last + 1),
  })
  return out
}

const prune = (bundle: string, privateKey = key.privateKey) =>
  store.pruneAuditChain({ hostId, bundle, key: privateKey, actor: 'alice' })
const verify = (members: object = {}) => store.verifyAuditChain({ hostId, key: key.publicKey, ...members })
const numbers = async () => (await store.queryAuditEntries({ hostId })).map(({ sequenceNum }) => sequenceNum)

describe('F35: pruning a chain', () => {
  it('deletes the prefix, says so in the chain, and leaves the rest verifiable', async () => {
    const before = await sign()
    const bundle = await bundleOf(1, 4)
    const pruning = await prune(bundle)
    expect(pruning).toMatchObject({ hostId, firstSequence: 1, throughSequence: 4, entries: 4, recordedAs: 7 })
    expect(await numbers()).toEqual([5, 6, 7])
    const [, , record] = await store.queryAuditEntries({ hostId })
    expect(record?.payload.parse()).toMatchObject({
      action: 'audit.prune',
      actor: 'alice',
      first: '1',
      through: '4',
    })
    expect(await verify()).toMatchObject({ verdict: 'intact', findings: [] })
    // The checkpoint from before still holds, and the next one, too.
    expect(await verify({ checkpoint: before })).toMatchObject({ verdict: 'intact' })
    expect(await verify({ checkpoint: await sign() })).toMatchObject({ verdict: 'intact' })
    expect(await verifyAuditEvidence({ bundle, key: key.publicKey })).toMatchObject({
      verdict: 'intact',
      entries: 4,
    })
    await store.appendAuditEntries(hostId, [{ n: 8 }])
    expect(await numbers()).toEqual([5, 6, 7, 8])
    expect(await verify()).toMatchObject({ verdict: 'intact' })
  })

  it('can be done again later, from the first entry that is left', async () => {
    await prune(await bundleOf(1, 2))
    expect(await rejection(prune(await bundleOf(4, 5)))).toMatchObject({ field: 'options.bundle' })
    await prune(await bundleOf(3, 6))
    expect(await numbers()).toEqual([7, 8])
    expect(await verify()).toMatchObject({ verdict: 'intact' })
  })

  it('cannot be told from an alteration without the key: that is said', async () => {
    await prune(await bundleOf(1, 3))
    expect(await store.verifyAuditChain({ hostId })).toMatchObject({
      verdict: 'cannot-tell',
      findings: [{ kind: 'pruning-unverified' }],
    })
    expect(await verify({ key: other.publicKey })).toMatchObject({ verdict: 'cannot-tell' })
  })

  it('stays verified after a change of keys, when the old key is trusted as well', async () => {
    await prune(await bundleOf(1, 3))
    const out = nextFile('.checkpoint')
    await store.createAuditCheckpoint({ key: other.privateKey, trustedKeys: [key.publicKey], out })
    const members = { checkpoint: out, key: other.publicKey }
    expect(await store.verifyAuditChain({ hostId, ...members })).toMatchObject({ verdict: 'cannot-tell' })
    expect(await store.verifyAuditChain({ hostId, ...members, trustedKeys: [key.publicKey] })).toMatchObject({
      verdict: 'intact',
      findings: [],
    })
  })

  it.each([
    ['the manifest', `manifest = replace(manifest, 'through 3', 'through 2')`],
    ['the place', `through_link_hash = repeat('a', 64)`],
    ['the number', 'through_sequence = 4'],
  ])('whose record was altered in %s is damaged', async (_, change) => {
    await prune(await bundleOf(1, 3))
    await tamper(database, `UPDATE audit_prunings SET ${change} WHERE host_id = '${hostId}'`)
    expect(await verify()).toMatchObject({ verdict: 'damaged' })
  })

  it('whose record is gone is damaged', async () => {
    await prune(await bundleOf(1, 3))
    await tamper(database, `DELETE FROM audit_prunings WHERE host_id = '${hostId}'`)
    expect(await verify()).toMatchObject({ verdict: 'damaged' })
  })

  describe('watches the entry that records it, without any checkpoint,', () => {
    beforeEach(async () => {
      await prune(await bundleOf(1, 4))
      await store.appendAuditEntries(hostId, [{ n: 8 }])
    })
    const where = (number: number) => `WHERE host_id = '${hostId}' AND sequence_num = ${number}`
    const signing = async () => rejection(store.createAuditCheckpoint({ key: key.privateKey }))

    it('so that it is damage when the chain was cut before it', async () => {
      await tamper(database, `DELETE FROM audit_entries ${where(8)}`)
      expect(await verify()).toMatchObject({ verdict: 'intact', entries: 3 })
      await tamper(database, `DELETE FROM audit_entries ${where(7)}`)
      expect(await verify()).toMatchObject({
        verdict: 'damaged',
        findingCount: 1,
        findings: [{ kind: 'tail-missing', hostId, sequenceNum: '7', expected: 'entry 7' }],
      })
      expect(await signing()).toMatchObject({ code: 'AUDIT_DAMAGED', findingCount: 1 })
      await tamper(database, `DELETE FROM audit_entries ${where(6)}; DELETE FROM audit_entries ${where(5)}`)
      expect(await verify()).toMatchObject({
        findingCount: 1,
        findings: [{ kind: 'tail-missing', sequenceNum: '5', expected: 'entries 5 to 7' }],
      })
    })

    it('so that it is damage when the chain was written anew from before it, with all its hashes', async () => {
      await rewrite(database, hostId, 6)
      const finding = { kind: 'rewritten', hostId, sequenceNum: '7' }
      expect(await verify()).toMatchObject({ verdict: 'damaged', findingCount: 1, findings: [finding] })
      expect(await signing()).toMatchObject({ code: 'AUDIT_DAMAGED', findings: [finding] })
    })

    it.each([
      ['altered', 'altered-row', `UPDATE audit_entries SET payload = '{}'`],
      ['gone', 'gap', 'DELETE FROM audit_entries'],
    ])('which is one finding when it was %s', async (_, kind, change) => {
      await tamper(database, `${change} ${where(7)}`)
      expect(await verify()).toMatchObject({
        verdict: 'damaged',
        findingCount: 1,
        findings: [{ kind, hostId, sequenceNum: '7' }],
      })
    })

    it('and a cut is told once where a checkpoint tells of it, too', async () => {
      const checkpoint = await sign()
      await tamper(database, `DELETE FROM audit_entries ${where(8)}; DELETE FROM audit_entries ${where(7)}`)
      expect(await verify({ checkpoint })).toMatchObject({
        findingCount: 1,
        findings: [{ kind: 'tail-missing', sequenceNum: '7', expected: 'entries 7 to 8' }],
      })
      const previous = { key: key.privateKey, previous: checkpoint }
      expect(await rejection(store.createAuditCheckpoint(previous))).toMatchObject({ findingCount: 1 })
    })

    it('until a later pruning covers it', async () => {
      const bundle = await bundleOf(5, 7)
      expect(await prune(bundle)).toMatchObject({ throughSequence: 7, recordedAs: 9 })
      expect(await verify()).toMatchObject({ verdict: 'intact', entries: 2 })
      await tamper(database, `DELETE FROM audit_entries ${where(9)}`)
      expect(await verify()).toMatchObject({ findings: [{ kind: 'tail-missing', sequenceNum: '9' }] })
    })

    it('and each of several', async () => {
      await prune(await bundleOf(5, 6))
      expect(await verify()).toMatchObject({ verdict: 'intact', entries: 3 })
      await rewrite(database, hostId, 7)
      expect(await verify()).toMatchObject({
        verdict: 'damaged',
        findings: [
          { kind: 'rewritten', sequenceNum: '7' },
          { kind: 'rewritten', sequenceNum: '9' },
        ],
      })
    })
  })

  it('that an owner forges without the key is not intact', async () => {
    await tamper(
      database,
      `INSERT INTO audit_prunings (host_id, through_sequence, through_event_hash, through_link_hash, through_created_at, manifest)
       SELECT host_id, 3, event_hash, event_hash, created_at, 'forged' FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num = 3;
       DELETE FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num <= 3`,
    )
    expect((await verify()).verdict).not.toBe('intact')
  })
})

describe('pruning is refused, and nothing is deleted,', () => {
  async function expectRefused(bundle: string, expected: object, privateKey?: string): Promise<void> {
    const entries = await numbers()
    expect(await rejection(prune(bundle, privateKey))).toMatchObject(expected)
    expect(await numbers()).toEqual(entries)
    expect(await database.sql(`SELECT FROM audit_prunings WHERE host_id = '${hostId}'`)).toEqual([])
  }

  it('when the bundle was changed', async () => {
    const bundle = await bundleOf(1, 4)
    const text = await readFile(bundle, 'utf8')
    const changed = nextFile('.changed')
    await writeFile(changed, text.replace('\\"n\\": 2', '\\"n\\": 9'))
    await expectRefused(changed, { code: 'AUDIT_DAMAGED' })
  })

  it('when the bundle was signed by another key', async () => {
    await expectRefused(await bundleOf(1, 4), { code: 'AUDIT_DAMAGED' }, other.privateKey)
  })

  it('when the database holds other rows by now', async () => {
    const bundle = await bundleOf(1, 4)
    await tamper(
      database,
      `UPDATE audit_entries SET payload = '{"n": 9}' WHERE host_id = '${hostId}' AND sequence_num = 2`,
    )
    await expectRefused(bundle, { code: 'AUDIT_DAMAGED', message: expect.stringContaining('entry 2') })
    await tamper(
      database,
      `UPDATE audit_entries SET payload = '{"n": 2}' WHERE host_id = '${hostId}' AND sequence_num = 2`,
    )
  })

  it('when the bundle does not begin with the first entry, or is of another host', async () => {
    await expectRefused(await bundleOf(2, 4), { code: 'INVALID_INPUT', field: 'options.bundle' })
    const bundle = await bundleOf(1, 4)
    hostId = await newHost(store)
    await store.appendAuditEntries(hostId, [{ n: 1 }])
    await expectRefused(bundle, { code: 'INVALID_INPUT', field: 'options.bundle' })
  })

  it('when a policy hides some of the rows that would go', async () => {
    const bundle = await bundleOf(1, 4)
    const role = `pruner_${database.name}`
    await database.sql(`
      CREATE ROLE ${role} LOGIN PASSWORD 'secret';
      GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role};
      GRANT INSERT, DELETE ON audit_entries, audit_prunings TO ${role};
      GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO ${role};
      ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY;
      CREATE POLICY seen ON audit_entries FOR SELECT USING (true);
      CREATE POLICY appended ON audit_entries FOR INSERT WITH CHECK (true);
      CREATE POLICY deleted ON audit_entries FOR DELETE USING (sequence_num <> 2)`)
    const url = new URL(database.connectionString)
    url.username = role
    url.password = 'secret'
    const pruner = await openStore({ connectionString: url.href })
    try {
      const pruning = pruner.pruneAuditChain({ hostId, bundle, key: key.privateKey, actor: 'alice' })
      expect(await rejection(pruning)).toMatchObject({ code: 'QUERY_FAILED', sqlState: '42501' })
      expect(await numbers()).toEqual([1, 2, 3, 4, 5, 6])
    } finally {
      await pruner.close()
      await database.sql(`
        DROP POLICY seen ON audit_entries;
        DROP POLICY appended ON audit_entries;
        DROP POLICY deleted ON audit_entries;
        ALTER TABLE audit_entries DISABLE ROW LEVEL SECURITY;
        DROP OWNED BY ${role};
        DROP ROLE ${role}`)
    }
  })

  it('when the name of the actor is longer than one of the audit log may be', async () => {
    const bundle = await bundleOf(1, 4)
    const pruneAs = (actor: string) => store.pruneAuditChain({ hostId, bundle, key: key.privateKey, actor })
    expect(await rejection(pruneAs('a'.repeat(256)))).toMatchObject({ field: 'options.actor' })
    expect(await pruneAs('a'.repeat(255))).toMatchObject({ entries: 4 })
  })

  it('when the connection breaks before the commit; when it breaks after, all of it was done', async () => {
    const proxy = await startWireProxy({ target: database.connectionString })
    onTestFinished(() => proxy.close())
    const through = await openStore(proxy, { closeTimeoutMs: 1000 })
    onTestFinished(async () => void (await through.close().catch(() => undefined)))
    const bundle = await bundleOf(1, 4)
    const pruneThrough = () =>
      rejection(through.pruneAuditChain({ hostId, bundle, key: key.privateKey, actor: 'alice' }))
    const commit = { from: 'client', message: 'Query', text: /^COMMIT/ } as const
    const before = proxy.inject({ when: commit, action: 'cut-before' })
    expect(await pruneThrough()).toMatchObject({ code: 'CONNECTION_FAILED' })
    await before.settled
    expect(await numbers()).toEqual([1, 2, 3, 4, 5, 6])
    const after = proxy.inject({ when: commit, action: 'cut-after' })
    expect(await pruneThrough()).toMatchObject({ code: 'CONNECTION_FAILED' })
    await after.settled
    expect(await numbers()).toEqual([5, 6, 7])
    expect(await verify()).toMatchObject({ verdict: 'intact' })
  })
})
