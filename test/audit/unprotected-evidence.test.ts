/** Evidence and prunings of chains that begin with entries of version 0: carried, shown as not protected, and never called intact. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AuditEvidence, generateAuditKey, type Store, verifyAuditEvidence } from '../../src/index.ts'
import { openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { append, newChain, tamper } from './signed-chains.ts'
import { verificationText } from './verification-text.ts'

const database = useTestDatabase()
const folder = mkdtempSync(join(tmpdir(), 'tripwire-unprotected-'))
const PYTHON_VERIFIER = fileURLToPath(new URL('../../tools/verify_audit_chain.py', import.meta.url))
const pythonIsThere = spawnSync('python3', ['--version']).status === 0
const key = generateAuditKey('example.com/audit')
let store: Store
let hostId: string
let files = 0
const nextFile = (end: string) => join(folder, `${files++}${end}`)
/** The times that `append` gives. */
const timeOf = (sequenceNum: number) => `2026-03-01T10:00:00.${String(sequenceNum).padStart(6, '0')}Z`

beforeAll(async () => {
  store = await openStore(database)
})
/** Four entries of version 0, and three that are protected. */
beforeEach(async () => {
  hostId = await newChain(database)
  await append(database, hostId, 4, 'unprotected')
  await append(database, hostId, 3)
})
afterEach(() => tamper(database, 'TRUNCATE audit_entries, audit_prunings'))
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true, force: true })
})

async function exportTo(to?: number, from?: number): Promise<AuditEvidence> {
  const checkpoint = nextFile('.checkpoint')
  await store.createAuditCheckpoint({ key: key.privateKey, out: checkpoint })
  return store.exportAuditEvidence({
    hostId,
    checkpoint,
    key: key.publicKey,
    out: nextFile('.evidence'),
    from: from === undefined ? undefined : timeOf(from),
    to: to === undefined ? undefined : timeOf(to + 1),
  })
}

const verify = (bundle: string) => verifyAuditEvidence({ bundle, key: key.publicKey })
const python = (bundle: string) => spawnSync('python3', [PYTHON_VERIFIER, bundle], { encoding: 'utf8' })

/** The bundle with other members in the line of an entry. */
async function changed(bundle: string, sequenceNum: number, members: object): Promise<string> {
  const lines = (await readFile(bundle, 'utf8')).trimEnd().split('\n')
  const index = lines.findIndex(line => JSON.parse(line).sequenceNum === String(sequenceNum))
  const text = JSON.stringify({ ...JSON.parse(lines[index] ?? ''), ...members })
  expect(text).not.toBe(lines[index])
  const path = nextFile('.changed')
  await writeFile(path, `${lines.with(index, text).join('\n')}\n`)
  return path
}

describe('F34: evidence of entries that nothing protected', () => {
  it('holds them, counts them apart, and is not intact', async () => {
    const { path, ...evidence } = await exportTo()
    expect(evidence).toMatchObject({ firstSequence: 1, entries: 7, unprotected: 4, context: 0 })
    expect(await verify(path)).toMatchObject({
      verdict: 'cannot-tell',
      findings: [{ kind: 'unprotected', sequenceNum: '4', found: 'hash_version 0, up to entry 4' }],
      entries: 7,
      recomputed: 3,
      rowProtected: 0,
      unprotected: 4,
      checkpoint: { origin: 'example.com/audit' },
    })
  })

  it('of a part of them holds those that follow as context, also of version 0', async () => {
    const { path, ...evidence } = await exportTo(3, 2)
    expect(evidence).toMatchObject({ firstSequence: 2, lastSequence: 3, unprotected: 2, context: 4 })
    expect(await verify(path)).toMatchObject({
      verdict: 'cannot-tell',
      findings: [{ kind: 'unprotected', sequenceNum: '3' }],
      recomputed: 0,
    })
  })

  it('is intact where it begins after them', async () => {
    const { path, ...evidence } = await exportTo(undefined, 5)
    expect(evidence).toMatchObject({ firstSequence: 5, unprotected: 0 })
    expect(await verify(path)).toMatchObject({ verdict: 'intact', entries: 3, recomputed: 3 })
  })

  it('of a chain that has no other still leads to the head that was signed', async () => {
    await tamper(database, `DELETE FROM audit_entries WHERE sequence_num > 4`)
    const { path } = await exportTo()
    expect(await verify(path)).toMatchObject({ verdict: 'cannot-tell', unprotected: 4, recomputed: 0 })
    const forged = await changed(path, 4, { eventHash: 'a'.repeat(64) })
    expect(await verify(forged)).toMatchObject({
      verdict: 'damaged',
      findings: [{ kind: 'wrong-head' }, { kind: 'unprotected' }],
    })
  })

  it('cannot be changed in what the first protected entry covers: which is the last one, and its event hash', async () => {
    const { path } = await exportTo()
    const [, , , third, fourth] = (await readFile(path, 'utf8'))
      .split('\n')
      .map(line => JSON.parse(line || '{}'))
    const changes = [
      [4, { eventHash: 'a'.repeat(64) }],
      [4, { hashVersion: 1 }],
      [4, { hashVersion: 1, eventHash: third.eventHash }],
      [4, { rowHash: fourth.eventHash }],
      [4, { sequenceNum: '5' }],
      [5, { hashVersion: 0 }],
      [6, { hashVersion: 0 }],
      [7, { hashVersion: 0 }],
      [1, { hashVersion: 1 }],
      [2, { prevHash: 'a'.repeat(64) }],
    ] as const
    for (const [sequenceNum, members] of changes) {
      const forged = await changed(path, sequenceNum, members)
      expect((await verify(forged)).verdict, JSON.stringify([sequenceNum, members])).toBe('damaged')
      if (pythonIsThere) expect(python(forged).status).toBe(1)
    }
    for (const hashVersion of [2, '0', null]) {
      const forged = await changed(path, 1, { hashVersion })
      expect((await verify(forged)).findings).toMatchObject([{ kind: 'unreadable' }])
      if (pythonIsThere) expect(python(forged).status).not.toBe(0)
    }
  })

  it('is not more than that: what else they hold can be changed, so it is never called intact', async () => {
    const { path } = await exportTo()
    const forged = await changed(path, 2, { payload: '"nothing happened"' })
    expect(await verify(forged)).toMatchObject({ verdict: 'cannot-tell', unprotected: 4 })
  })

  it.runIf(pythonIsThere)('is told by an implementation in another language, too', async () => {
    const { path } = await exportTo()
    const { status, stdout, stderr } = python(path)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^3 entries of host .* lead to the root .*; 4 before them were not protected/)
  })
})

describe('F35: pruning entries that nothing protected', () => {
  const prune = (bundle: string) =>
    store.pruneAuditChain({ hostId, bundle, key: key.privateKey, actor: 'alice' })
  const found = async () =>
    verificationText(await store.verifyAuditChain({ key: key.publicKey }), { H: hostId })
  const remaining = async () => (await store.queryAuditEntries({ hostId })).map(entry => entry.sequenceNum)

  it('works as for others, in parts and across the edge of the protection', async () => {
    expect(await prune((await exportTo(2)).path)).toMatchObject({ throughSequence: 2, recordedAs: 8 })
    expect(await found()).toBe('cannot-tell: unprotected H4')
    expect(await prune((await exportTo(4)).path)).toMatchObject({ firstSequence: 3, throughSequence: 4 })
    expect(await found()).toBe('intact')
    expect(await prune((await exportTo(6)).path)).toMatchObject({ firstSequence: 5, throughSequence: 6 })
    expect(await remaining()).toEqual([7, 8, 9, 10])
    expect(await found()).toBe('intact')
    await tamper(database, 'DELETE FROM audit_entries WHERE sequence_num = 10')
    expect(await found()).toBe('damaged: tail-missing H10')
  })

  it('at once with protected ones', async () => {
    expect(await prune((await exportTo(6)).path)).toMatchObject({ entries: 6, recordedAs: 8 })
    expect(await found()).toBe('intact')
  })

  it('of a chain that has no other leaves the entry that says so, which is protected', async () => {
    await tamper(database, 'DELETE FROM audit_entries WHERE sequence_num > 4')
    await prune((await exportTo()).path)
    expect(await remaining()).toEqual([5])
    expect(await found()).toBe('intact')
  })

  it.each([
    ['payload', `payload = '{"action": "nothing"}'`],
    ['created_at', `created_at = created_at + INTERVAL '1 minute'`],
    ['entry_id', 'entry_id = gen_random_uuid()'],
    ['event_hash', `event_hash = repeat('a', 64)`],
    ['prev_hash', `prev_hash = repeat('a', 64)`],
    ['row_hash', `row_hash = repeat('a', 64)`],
    ['hash_version', 'hash_version = 1'],
    ['hash_version', 'hash_version = 7'],
  ])('is refused when the %s of one is not that of the bundle any more: %s', async (_, change) => {
    const { path } = await exportTo(4)
    await tamper(database, `UPDATE audit_entries SET ${change} WHERE sequence_num = 2`)
    const { code } = (await rejection(prune(path))) as { readonly code?: string }
    expect(code).toBe(change.endsWith('7') ? 'AUDIT_NOT_PROVABLE' : 'AUDIT_DAMAGED')
    expect(await remaining()).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  it('is refused when the bundle was changed where no hash covers it', async () => {
    const { path } = await exportTo(4)
    const forged = await changed(path, 2, { payload: '"nothing happened"' })
    expect(await rejection(prune(forged))).toMatchObject({ code: 'AUDIT_DAMAGED' })
    expect(await remaining()).toEqual([1, 2, 3, 4, 5, 6, 7])
  })
})
