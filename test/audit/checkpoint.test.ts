import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readCheckpoint } from '../../src/audit/checkpoint/checkpoint-files.ts'
import {
  checkpointText,
  headsText,
  leavesOf,
  makeCheckpoint,
} from '../../src/audit/checkpoint/checkpoint-text.ts'
import { inclusionProof } from '../../src/audit/merkle.ts'
import { generateAuditKey, type NoteSigner, parseSigner } from '../../src/audit/note/audit-key.ts'
import { signNote } from '../../src/audit/note/signed-note.ts'
import type { AuditCheckpointOptions, Store } from '../../src/index.ts'
import { openStore, rejection } from '../store/fixtures.ts'
import { mountDisk, NO_MOUNT } from '../support/mount-disk.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { append, newChain, tamper } from './signed-chains.ts'
import { isProvenBySigstore } from './sigstore.ts'

const database = useTestDatabase()
const key = generateAuditKey('example.com/audit')
const signer = signerOf(key.privateKey)
const trusted = [signer.verifier]
let store: Store
let base: string
let made = 0

beforeAll(async () => {
  store = await openStore(database)
  base = await mkdtemp(join(tmpdir(), 'tripwire-checkpoints-'))
})
afterAll(async () => {
  await store.close()
  await rm(base, { recursive: true, force: true })
})

function signerOf(privateKey: string): NoteSigner {
  const parsed = parseSigner(privateKey)
  if (parsed === undefined) throw new Error('a key that was made is none')
  return parsed
}

const newOut = () => join(base, `${made++}.checkpoint`)

async function newFolder(): Promise<string> {
  const folder = join(base, `folder-${made++}`)
  await mkdir(folder)
  return folder
}

/** The heads as SQL alone would tell them. */
async function headsBySql(): Promise<string> {
  const rows = await database.sql(`
    SELECT host_id || ' ' || max(sequence_num) || ' ' || (array_agg(coalesce(row_hash, event_hash) ORDER BY sequence_num DESC))[1] AS head
    FROM audit_entries GROUP BY host_id ORDER BY host_id`)
  return rows.map(row => `${row['head']}\n`).join('')
}

const create = (options: Partial<AuditCheckpointOptions> = {}) =>
  store.createAuditCheckpoint({ key: key.privateKey, ...options })

describe('a checkpoint of an empty log', () => {
  it('signs that there is nothing', async () => {
    const checkpoint = await create({ out: newOut() })
    expect(checkpoint).toMatchObject({ chains: 0, entries: 0, verifiedEntries: 0, heads: '' })
    const read = await readCheckpoint('file', checkpoint.files[0], trusted)
    expect(read.checkpoint.root.toString('hex')).toMatch(/^e3b0c44298fc1c14/)
  })
})

describe('a checkpoint', () => {
  let hosts: readonly string[]
  beforeAll(async () => {
    hosts = await Promise.all([1, 2, 3, 4, 5].map(() => newChain(database)))
    for (const [index, hostId] of hosts.entries()) {
      await append(database, hostId, index + 1, index % 2 === 0 ? 'own' : 'given')
    }
  })

  it('signs the heads of all chains, and each of them can be proven by another implementation', async () => {
    const before = new Date().toISOString()
    const out = newOut()
    const checkpoint = await create({ out })
    expect(checkpoint).toMatchObject({
      origin: 'example.com/audit',
      chains: 5,
      entries: 15,
      verifiedEntries: 15,
      unprotectedEntries: 0,
      files: [out],
    })
    expect(checkpoint.time >= before).toBe(true)
    expect(checkpoint.heads).toBe(await headsBySql())
    expect(await readFile(out, 'utf8')).toBe(checkpoint.note)
    expect(await readFile(out.replace('.checkpoint', '.heads'), 'utf8')).toBe(checkpoint.heads)
    const { heads } = await readCheckpoint('file', out, trusted)
    const leaves = [...leavesOf(heads)]
    const root = Buffer.from(checkpoint.root, 'base64')
    for (const [index, leaf] of leaves.entries()) {
      const claim = { leaf, index, size: leaves.length, proof: inclusionProof(leaves, index), root }
      expect(isProvenBySigstore(checkpoint.note, claim, signer.verifier)).toBe(true)
    }
  })

  it('verifies only what is new after an earlier one', async () => {
    const previous = newOut()
    await create({ out: previous })
    const [first = ''] = hosts
    await append(database, first, 7)
    const newcomer = await newChain(database)
    await append(database, newcomer, 4, 'given')
    const seen: number[] = []
    const checkpoint = await create({
      previous,
      out: newOut(),
      onProgress: ({ entries }) => seen.push(entries),
    })
    expect(checkpoint.verifiedEntries).toBe(11)
    expect(checkpoint.heads).toBe(await headsBySql())
    expect(Math.max(0, ...seen)).toBeLessThanOrEqual(11)
    expect(await create({ previous: checkpoint.files[0] })).toMatchObject({ verifiedEntries: 0, files: [] })
  })

  it('is made over entries of version 0, counts them, and goes on after the protection begins', async () => {
    const previous = newOut()
    await create({ out: previous })
    const hostId = await newChain(database)
    await append(database, hostId, 3, 'unprotected')
    const second = await create({ previous, out: newOut() })
    expect(second).toMatchObject({ verifiedEntries: 3, unprotectedEntries: 3 })
    expect(second.heads).toMatch(new RegExp(`^${hostId} 3 [0-9a-f]{64}$`, 'm'))
    await append(database, hostId, 2)
    const third = await create({ previous: second.files[0] })
    expect(third).toMatchObject({ verifiedEntries: 2, unprotectedEntries: 0 })
    await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${hostId}'`)
  })

  it('counts an entry whose host was removed from hosts', async () => {
    const hostId = await newChain(database)
    await append(database, hostId, 2)
    await database.sql(`
      ALTER TABLE audit_entries DROP CONSTRAINT fk_audit_host;
      DELETE FROM hosts WHERE host_id = '${hostId}'`)
    expect((await create()).heads).toContain(`${hostId} 2 `)
    await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${hostId}'`)
    await database.sql(
      'ALTER TABLE audit_entries ADD CONSTRAINT fk_audit_host FOREIGN KEY (host_id) REFERENCES hosts (host_id)',
    )
  })

  it('has a time after that of the earlier one, also when the clock was set back', async () => {
    const previous = newOut()
    const time = '2999-12-31T23:59:59.999999Z'
    await writeFile(previous.replace('.checkpoint', '.heads'), '')
    await writeFile(previous, signNote(checkpointText(makeCheckpoint(key.name, time, [])), [signer]))
    expect((await create({ previous })).time).toBe('3000-01-01T00:00:00.000000Z')
  })

  it('is not signed when the caller has aborted', async () => {
    const folder = await newFolder()
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(create({ folder, signal })).rejects.toThrow('enough')
    const later = new AbortController()
    const onProgress = () => later.abort(new Error('later'))
    await append(database, await newChain(database), 1)
    await create({ folder, signal: later.signal, onProgress }).catch((error: unknown) => {
      expect(error).toMatchObject({ message: 'later' })
    })
    expect(later.signal.aborted ? await readdir(folder) : []).toEqual([])
  })
})

describe('a folder of checkpoints', () => {
  it('keeps one pair of files a checkpoint, in the order of time, and the newest stands in for the previous one', async () => {
    const folder = await newFolder()
    const hostId = await newChain(database)
    const names: string[] = []
    for (const count of [3, 2, 1]) {
      await append(database, hostId, count)
      const checkpoint = await create({ folder })
      names.push(`${checkpoint.time.replaceAll(':', '-')}.checkpoint`)
      expect(checkpoint.files).toEqual([join(folder, names.at(-1) ?? '')])
      if (count < 3) expect(checkpoint.verifiedEntries).toBe(count)
    }
    const files = (await readdir(folder)).sort()
    expect(files).toEqual(names.flatMap(name => [name, name.replace('.checkpoint', '.heads')]).sort())
    expect(names).toEqual(names.toSorted())
  })

  it('is passed over what is no checkpoint, such as heads that a cut run left', async () => {
    const folder = await newFolder()
    await writeFile(join(folder, '2999-01-01T00-00-00.000000Z.heads'), 'cut')
    await writeFile(join(folder, 'README'), '')
    expect((await create({ folder })).files).toHaveLength(1)
  })

  it('is written to beside another file', async () => {
    const [folder, out] = [await newFolder(), newOut()]
    const { files, note } = await create({ folder, out })
    expect(files).toHaveLength(2)
    for (const file of files) expect(await readFile(file, 'utf8')).toBe(note)
  })

  it.each([
    ['is cut', (note: string) => note.slice(0, -10), 'AUDIT_CHECKPOINT_INVALID'],
    ['is empty', () => '', 'AUDIT_CHECKPOINT_INVALID'],
    [
      'says something else',
      (note: string) => note.replace('\nentries ', '\nentries 1'),
      'AUDIT_CHECKPOINT_INVALID',
    ],
    [
      'is of another key',
      (note: string) =>
        signNote(`${note.split('\n\n')[0]}\n`, [signerOf(generateAuditKey(key.name).privateKey)]),
      'AUDIT_CHECKPOINT_UNVERIFIED',
    ],
  ])(
    'whose newest checkpoint %s is refused: an older one never stands in for it',
    async (_, change, code) => {
      const folder = await newFolder()
      await create({ folder })
      const [newest = ''] = (await create({ folder })).files
      await writeFile(newest, change(await readFile(newest, 'utf8')))
      const before = await readdir(folder)
      await expect(create({ folder })).rejects.toMatchObject({ code })
      expect(await readdir(folder)).toEqual(before)
    },
  )

  it('is refused when the newest has lost its heads, or has the name of another time', async () => {
    const folder = await newFolder()
    const [newest = ''] = (await create({ folder })).files
    const heads = newest.replace('.checkpoint', '.heads')
    const content = await readFile(heads)
    await rm(heads)
    await expect(create({ folder })).rejects.toMatchObject({ code: 'AUDIT_FILE_FAILED' })
    await writeFile(heads, content)
    await writeFile(join(folder, '2999-01-01T00-00-00.000000Z.heads'), content)
    await writeFile(join(folder, '2999-01-01T00-00-00.000000Z.checkpoint'), await readFile(newest))
    await expect(create({ folder })).rejects.toMatchObject({ code: 'AUDIT_CHECKPOINT_INVALID' })
  })

  it('on a full disk holds no checkpoint that is not whole', async context => {
    const folder = mountDisk('size=64k')
    if (folder === undefined) return context.skip(NO_MOUNT)
    await writeFile(join(folder, 'filler'), Buffer.alloc(61_000))
    const error = await rejection(create({ folder }))
    expect(error).toMatchObject({ code: 'AUDIT_FILE_FAILED', cause: { code: 'ENOSPC' } })
    expect(await readdir(folder)).toEqual(['filler'])
  })
})

describe('a checkpoint that cannot be made', () => {
  it('is refused before anything is read where the path is taken', async () => {
    for (const end of ['.checkpoint', '.heads']) {
      const out = newOut()
      await writeFile(out.replace('.checkpoint', end), 'precious')
      await expect(create({ out })).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'options.out' })
      expect(await readFile(out.replace('.checkpoint', end), 'utf8')).toBe('precious')
    }
  })

  it('is refused when the previous one is of another key, or its heads are others', async () => {
    const previous = newOut()
    const other = generateAuditKey(key.name)
    await store.createAuditCheckpoint({ key: other.privateKey, out: previous })
    await expect(create({ previous })).rejects.toMatchObject({ code: 'AUDIT_CHECKPOINT_UNVERIFIED' })
    const own = newOut()
    await create({ out: own })
    await writeFile(own.replace('.checkpoint', '.heads'), headsText([]))
    await expect(create({ previous: own })).rejects.toMatchObject({ code: 'AUDIT_CHECKPOINT_INVALID' })
  })

  it('is made with another key once the one of before is trusted, in the same folder', async () => {
    const folder = await newFolder()
    const before = await create({ folder })
    const next = generateAuditKey('example.com/audit-2')
    const withNext = { key: next.privateKey, folder }
    await expect(create(withNext)).rejects.toMatchObject({ code: 'AUDIT_CHECKPOINT_UNVERIFIED' })
    const after = await create({ ...withNext, trustedKeys: [key.publicKey] })
    expect(after).toMatchObject({ origin: 'example.com/audit-2', verifiedEntries: 0, heads: before.heads })
    await create(withNext)
  })

  it.each<[Record<string, unknown>, string, string]>([
    [{ trustedKeys: 'key.pub' }, 'INVALID_INPUT', 'options.trustedKeys'],
    [{ trustedKeys: ['/no/such/key.pub'] }, 'INVALID_INPUT', 'options.trustedKeys[0]'],
    [{ key: undefined }, 'INVALID_INPUT', 'options.key'],
    [{ key: '/no/such/file' }, 'INVALID_INPUT', 'options.key'],
    [{ out: 'file' }, 'INVALID_INPUT', 'options.out'],
    [{ folder: '/no/such/folder' }, 'INVALID_INPUT', 'options.folder'],
    [{ folder: 7 }, 'INVALID_INPUT', 'options.folder'],
    [{ previous: '/no/such.checkpoint' }, 'INVALID_INPUT', 'options.previous'],
    [{ signal: 'now' }, 'INVALID_INPUT', 'options.signal'],
    [{ onProgress: true }, 'INVALID_INPUT', 'options.onProgress'],
    [{ outFile: 'x' }, 'UNKNOWN_OPTION', 'options.outFile'],
  ])('names the option: %j', async (options, code, field) => {
    const call = Reflect.apply(store.createAuditCheckpoint, store, [{ key: key.privateKey, ...options }])
    await expect(call).rejects.toMatchObject({ code, field })
  })
})
