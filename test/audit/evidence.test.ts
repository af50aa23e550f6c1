import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateAuditKey, RawJson, type Store, verifyAuditEvidence } from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { append, newChain, tamper } from './signed-chains.ts'

const database = useTestDatabase()
const folder = mkdtempSync(join(tmpdir(), 'tripwire-evidence-'))
const PYTHON_VERIFIER = fileURLToPath(new URL('../../tools/verify_audit_chain.py', import.meta.url))
const key = generateAuditKey('example.com/audit')
const other = generateAuditKey('example.com/audit')
let store: Store
let hostId: string
let checkpoint: string
let files = 0
const nextFile = (end: string) => join(folder, `${files++}${end}`)

/** Documents that a second implementation must canonicalise in the same way. */
const PAYLOADS = [
  '{"b": 1.10, "a": [true, false, null], "": {"\\u0000x": 1}}'.replace('\\u0000', '\\u0001'),
  '{"\u{1F600}": 1, "\uFFFD": 2, "z": "\\u2028 \\\\ \\" \u{10FFFF}"}',
  '[-0, 1e400, 9007199254740993, 0.1000000000000000055511151231257827, 1E-20]',
  '"\\t\\n\\u001f\\u007f\u2028"',
  'null',
] as const

beforeAll(async () => {
  store = await openStore(database)
  hostId = await newHost(store)
  await store.appendAuditEntries(
    hostId,
    PAYLOADS.map(text => RawJson.fromText(text)),
  )
  const own = 'a'.repeat(64)
  const [last] = (await store.queryAuditEntries({ hostId })).slice(-1)
  await store.insertAuditEntry({
    hostId,
    sequenceNum: 6,
    prevHash: last?.eventHash ?? '',
    eventHash: own,
    payload: { of: 'an agent' },
  })
  await store.appendAuditEntries(hostId, [{ secret: 'not for the reader of the evidence' }, { n: 8 }])
  for (let count = 0; count < 6; count++) await store.appendAuditEntries(await newHost(store), [{ count }])
  checkpoint = await sign()
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

async function exportAll(members: object = {}): Promise<string> {
  const out = nextFile('.evidence')
  await store.exportAuditEvidence({ hostId, checkpoint, key: key.publicKey, out, ...members })
  return out
}

const verify = (bundle: string, publicKey: string | undefined = key.publicKey) =>
  verifyAuditEvidence({ bundle, key: publicKey })

/** The independent implementation, in another language. */
function verifyInPython(bundle: string, ...root: readonly string[]) {
  const { status, stdout, stderr } = spawnSync('python3', [PYTHON_VERIFIER, bundle, ...root], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}
const pythonIsThere = spawnSync('python3', ['--version']).status === 0

describe('an evidence bundle', () => {
  it('proves the entries of a host without the database', async () => {
    const out = nextFile('.evidence')
    const evidence = await store.exportAuditEvidence({ hostId, checkpoint, key: key.publicKey, out })
    expect(evidence).toEqual({
      path: out,
      hostId,
      firstSequence: 1,
      lastSequence: 8,
      entries: 8,
      unprotected: 0,
      context: 0,
    })
    expect(await verify(out)).toMatchObject({
      verdict: 'intact',
      findings: [],
      hostId,
      firstSequence: '1',
      lastSequence: '8',
      entries: 8,
      recomputed: 7,
      rowProtected: 1,
      checkpoint: { origin: 'example.com/audit' },
    })
  })

  it('of a span holds later entries as hashes only', async () => {
    const entries = await store.queryAuditEntries({ hostId })
    const [from, to] = [entries[1]?.createdAt, entries[6]?.createdAt]
    const bundle = await exportAll({ from, to })
    expect(await verify(bundle)).toMatchObject({ verdict: 'intact', lastSequence: '6' })
    expect(await readFile(bundle, 'utf8')).not.toContain('secret')
  })

  it.runIf(pythonIsThere)('verifies by an implementation in another language', async () => {
    const bundle = await exportAll()
    const first = verifyInPython(bundle)
    expect(first).toMatchObject({ status: 0, stderr: '' })
    expect(first.stdout).toMatch(/^8 entries of host/)
    const root = (await readFile(checkpoint, 'utf8')).split('\n')[2] ?? ''
    expect(verifyInPython(bundle, root).status).toBe(0)
    expect(verifyInPython(bundle, Buffer.alloc(32).toString('base64'))).toMatchObject({ status: 1 })
  })

  it.runIf(pythonIsThere)('of deeply nested payloads verifies in either implementation', async () => {
    const deep = await newHost(store)
    const nested = `${'['.repeat(2000)}${']'.repeat(2000)}`
    await store.appendAuditEntries(deep, [RawJson.fromText(nested), { n: 2 }])
    const bundle = await exportAll({ hostId: deep, checkpoint: await sign() })
    expect(await verify(bundle)).toMatchObject({ verdict: 'intact', entries: 2 })
    expect(verifyInPython(bundle)).toMatchObject({ status: 0, stderr: '' })
  })

  it("ends before the first entry outside its span, whose time may be a caller's own", async () => {
    const host = await newHost(store)
    const [first] = await store.appendAuditEntries(host, [{ n: 1 }])
    await store.insertAuditEntry({
      hostId: host,
      sequenceNum: 2,
      prevHash: first?.eventHash ?? '',
      eventHash: 'b'.repeat(64),
      payload: { n: 2 },
      createdAt: '2020-01-01T00:00:00Z',
    })
    const signed = await sign()
    const all = await exportAll({ hostId: host, checkpoint: signed, to: '2021-01-01T00:00:00Z' })
    expect(await verify(all)).toMatchObject({ verdict: 'intact', firstSequence: '2', lastSequence: '2' })
    const recent = await exportAll({ hostId: host, checkpoint: signed, from: '2021-01-01T00:00:00Z' })
    expect(await verify(recent)).toMatchObject({ verdict: 'intact', firstSequence: '1', lastSequence: '1' })
  })

  it('cannot tell without a key, or with another one of the same name', async () => {
    const bundle = await exportAll()
    expect(await verifyAuditEvidence({ bundle })).toMatchObject({
      verdict: 'cannot-tell',
      findings: [{ kind: 'no-key' }],
      checkpoint: null,
    })
    expect(await verify(bundle, other.publicKey)).toMatchObject({
      verdict: 'cannot-tell',
      findings: [{ kind: 'no-key' }],
    })
  })

  it('is never written over, and not written at all where it would prove nothing', async () => {
    const out = await exportAll()
    expect(await rejection(exportAll({ out }))).toMatchObject({ code: 'INVALID_INPUT', field: 'options.out' })
    expect(await rejection(exportAll({ from: '2099-01-01T00:00:00Z' }))).toMatchObject({
      field: 'options.from',
    })
    expect(await rejection(exportAll({ key: other.publicKey }))).toMatchObject({
      code: 'AUDIT_CHECKPOINT_UNVERIFIED',
    })
    expect(await rejection(exportAll({ hostId: await newHost(store) }))).toMatchObject({
      field: 'options.hostId',
    })
  })

  it('is not made of a damaged chain', async () => {
    const damaged = await newChain(database)
    await append(database, damaged, 5)
    const signed = await sign()
    await tamper(
      database,
      `UPDATE audit_entries SET payload = '{}' WHERE host_id = '${damaged}' AND sequence_num = 3`,
    )
    expect(await rejection(exportAll({ hostId: damaged, checkpoint: signed }))).toMatchObject({
      code: 'AUDIT_DAMAGED',
      message: expect.stringContaining('entry 3'),
    })
    await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${damaged}'`)
  })
})

describe('a bundle that was changed', () => {
  it('at any member of any line is not intact, in either implementation', async () => {
    const bundle = await exportAll({ to: (await store.queryAuditEntries({ hostId }))[6]?.createdAt })
    const lines = (await readFile(bundle, 'utf8')).trimEnd().split('\n')
    let changed = 0
    for (const [number, line] of lines.entries()) {
      const whole: Record<string, unknown> = JSON.parse(line)
      for (const [name, value] of Object.entries(whole)) {
        // Nothing covers these two, and it is said.
        if (name === 'hostname' || name === 'exportedAt') continue
        const path = nextFile('.changed')
        const text = JSON.stringify({ ...whole, [name]: changedValue(value) })
        await writeFile(path, `${lines.with(number, text).join('\n')}\n`)
        const { verdict } = await verify(path)
        expect(verdict, `line ${number}, ${name}`).not.toBe('intact')
        if (pythonIsThere && number < 4 && name !== 'kind') {
          expect(verifyInPython(path).status, `line ${number}, ${name}`).not.toBe(0)
        }
        changed++
      }
    }
    expect(changed).toBeGreaterThan(60)
  }, 120_000)

  it('by a line that is missing, doubled, moved or cut is not intact', async () => {
    const bundle = await exportAll()
    const text = await readFile(bundle, 'utf8')
    const lines = text.trimEnd().split('\n')
    const damaged = [
      ...lines.map((_, index) => `${lines.toSpliced(index, 1).join('\n')}\n`),
      ...lines.map((line, index) => `${lines.toSpliced(index, 0, line).join('\n')}\n`),
      ...lines.slice(1).map(
        (line, index) =>
          `${lines
            .toSpliced(index + 1, 1)
            .toSpliced(index, 0, line)
            .join('\n')}\n`,
      ),
      ...Array.from({ length: 40 }, (_, index) => text.slice(0, Math.floor((text.length * index) / 40))),
      text.slice(0, -1),
      `${text}\n`,
      '\uFEFF' + text,
    ]
    for (const [index, each] of damaged.entries()) {
      const path = nextFile('.damaged')
      await writeFile(path, each)
      expect((await verify(path)).verdict, `damage ${index}`).not.toBe('intact')
    }
  })

  it('to the evidence of another host or of another checkpoint is not intact', async () => {
    const [first, second] = [await exportAll(), await exportAll({ checkpoint: await sign() })]
    const [a, b] = [
      (await readFile(first, 'utf8')).trimEnd().split('\n'),
      (await readFile(second, 'utf8')).trimEnd().split('\n'),
    ]
    const path = nextFile('.mixed')
    const proof = JSON.parse(b.at(-1) ?? '')
    await writeFile(
      path,
      `${a.with(-1, JSON.stringify({ ...JSON.parse(a.at(-1) ?? ''), proof: proof.proof })).join('\n')}\n`,
    )
    expect((await verify(path)).verdict).toBe('damaged')
  })

  it('into another text of the same members is not intact', async () => {
    const bundle = await exportAll()
    const text = await readFile(bundle, 'utf8')
    const lines = text.trimEnd().split('\n')
    const second = lines[1] ?? ''
    const texts = [
      text.replace(second, second.replace('{"kind"', '{"payload":"forged","kind"')),
      text.replace(second, second.replace('"rowHash":null,', '')),
      text.replace(second, second.replace('{"kind"', '{ "kind"')),
      text.replace(hostId, hostId.toUpperCase()),
    ]
    for (const [index, each] of texts.entries()) {
      expect(each).not.toBe(text)
      const path = nextFile('.other')
      await writeFile(path, each)
      expect((await verify(path)).verdict, `text ${index}`).not.toBe('intact')
    }
    const cut = nextFile('.cut')
    await writeFile(cut, Buffer.concat([Buffer.from(text), Buffer.from([0xe2, 0x82])]))
    expect((await verify(cut)).verdict).toBe('cannot-tell')
  })

  it('into something else is refused in words', async () => {
    const path = nextFile('.none')
    await writeFile(path, Buffer.from([0xff, 0xfe, 0x0a]))
    expect(await verify(path)).toMatchObject({ verdict: 'cannot-tell', findings: [{ kind: 'unreadable' }] })
    expect(await rejection(verify(join(folder, 'absent')))).toMatchObject({ field: 'options.bundle' })
  })
})

function changedValue(value: unknown): unknown {
  if (typeof value === 'string')
    return value.endsWith('1') ? `${value.slice(0, -1)}2` : `${value.slice(0, -1)}1`
  if (typeof value === 'number') return value + 1
  if (value === null) return 'a'.repeat(64)
  if (Array.isArray(value)) return value.slice(1)
  return { ...Object(value), sequenceNum: '7' }
}
