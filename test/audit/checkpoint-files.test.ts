import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  openCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from '../../src/audit/checkpoint/checkpoint-files.ts'
import {
  checkpointText,
  headsText,
  leavesOf,
  makeCheckpoint,
  parseCheckpointText,
  parseHeads,
} from '../../src/audit/checkpoint/checkpoint-text.ts'
import { type Head, headText, parseHead } from '../../src/audit/checkpoint/head.ts'
import { inclusionProof } from '../../src/audit/merkle.ts'
import { generateAuditKey, type NoteSigner, parseSigner } from '../../src/audit/note/audit-key.ts'
import { signNote } from '../../src/audit/note/signed-note.ts'
import { rejection } from '../store/fixtures.ts'
import { isProvenBySigstore } from './sigstore.ts'

const TIME = '2026-03-01T10:00:00.123456Z'
const signer = newSigner('example.com/audit')
const trusted = [signer.verifier]

function newSigner(name: string): NoteSigner {
  const made = parseSigner(generateAuditKey(name).privateKey)
  if (made === undefined) throw new Error('a key that was made is none')
  return made
}

const head = fc.record({
  hostId: fc.uuid(),
  sequenceNum: fc.oneof(fc.bigInt(1n, 1000n), fc.bigInt(1n, 2n ** 63n - 1n)),
  linkHash: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes).toString('hex')),
})
const heads = fc
  .uniqueArray(head, { selector: each => each.hostId, maxLength: 40 })
  .map(all => all.toSorted((a, b) => (a.hostId < b.hostId ? -1 : 1)))

function signed(all: readonly Head[], by = signer, origin = by.verifier.name): string {
  return signNote(checkpointText(makeCheckpoint(origin, TIME, all)), [by])
}

describe('a checkpoint', () => {
  it('is read as it was signed, with its heads', () => {
    fc.assert(
      fc.property(heads, all => {
        const checkpoint = openCheckpoint('note', Buffer.from(signed(all)), trusted)
        expect(checkpoint).toEqual(makeCheckpoint('example.com/audit', TIME, all))
        expect(checkpoint.entries).toBe(all.reduce((sum, each) => sum + each.sequenceNum, 0n))
        expect(parseHeads(headsText(all), checkpoint)).toEqual(all)
      }),
      { numRuns: 100 },
    )
  })

  it('and the proof that a head is in it are accepted by Sigstore, and by Sigstore alone with the right key', () => {
    const filled = heads.filter(all => all.length > 0)
    fc.assert(
      fc.property(filled, fc.nat(), (all, at) => {
        const index = at % all.length
        const leaves = [...leavesOf(all)]
        const { root } = makeCheckpoint('', TIME, all)
        const claim = {
          leaf: leaves[index] ?? Buffer.of(),
          index,
          size: all.length,
          proof: inclusionProof(leaves, index),
          root,
        }
        const note = signed(all)
        expect(isProvenBySigstore(note, claim, signer.verifier)).toBe(true)
        expect(isProvenBySigstore(note, { ...claim, leaf: Buffer.from('x') }, signer.verifier)).toBe(false)
        expect(isProvenBySigstore(note.replace(/\n\d+\n/, '\n41\n'), claim, signer.verifier)).toBe(false)
        expect(isProvenBySigstore(note, claim, newSigner('example.com/audit').verifier)).toBe(false)
      }),
      { numRuns: 100 },
    )
  })

  it('F34 tells nothing without the key that signed it', () => {
    const note = Buffer.from(signed([]))
    const other = newSigner('example.com/audit').verifier
    for (const keys of [[], [other]]) {
      expect(() => openCheckpoint('note', note, keys)).toThrow(
        expect.objectContaining({ code: 'AUDIT_CHECKPOINT_UNVERIFIED' }),
      )
    }
  })

  it('is refused when it is signed over by another text, or names another origin than its key', () => {
    const all = [
      { hostId: '00000000-0000-4000-8000-000000000001', sequenceNum: 7n, linkHash: 'a'.repeat(64) },
    ]
    const note = signed(all)
    const [, signature = ''] = note.split('\n\n')
    for (const forged of [
      note.replace('\n1\n', '\n2\n'),
      note.replace('entries 7', 'entries 8'),
      note.replace(TIME, '2026-03-01T10:00:00.123457Z'),
      `${checkpointText(makeCheckpoint('example.com/audit', TIME, []))}\n${signature}`,
      signed(all, signer, 'example.com/other'),
      signNote(`${checkpointText(makeCheckpoint('example.com/audit', TIME, all))}more\n`, [signer]),
      signNote('something else\n', [signer]),
    ]) {
      expect(() => openCheckpoint('note', Buffer.from(forged), trusted)).toThrow(
        expect.objectContaining({ code: 'AUDIT_CHECKPOINT_INVALID' }),
      )
    }
  })

  it.each([
    ['an origin that is empty', (text: string) => text.replace('example.com/audit', '')],
    ['a size with a leading zero', (text: string) => text.replace('\n0\n', '\n00\n')],
    ['a size with a sign', (text: string) => text.replace('\n0\n', '\n-0\n')],
    ['a size that no number holds', (text: string) => text.replace('\n0\n', '\n9007199254740993\n')],
    ['a root that is cut', (text: string) => text.replace('47DE', '')],
    ['a root in hexadecimal digits', (text: string) => text.replace(/47DE.*/, 'e3b0c442'.repeat(8))],
    ['a root of a second form', (text: string) => text.replace('hSuFU=', 'hSuFV=')],
    ['a time without its microseconds', (text: string) => text.replace('.123456Z', '.123Z')],
    ['a time that is none', (text: string) => text.replace('2026-03-01', '2026-02-30')],
    ['a time elsewhere', (text: string) => text.replace('123456Z', '123456+01:00')],
    ['other entries', (text: string) => text.replace('entries 0', 'entries 0x0')],
    ['lines in another order', (text: string) => text.replace(/(time .*)\n(entries .*)\n/, '$2\n$1\n')],
    ['a line more', (text: string) => `${text}more\n`],
    ['a line less', (text: string) => text.replace(/entries.*\n/, '')],
    ['line ends of Windows', (text: string) => text.replaceAll('\n', '\r\n')],
  ])('with %s is none', (_, change) => {
    const text = checkpointText(makeCheckpoint('example.com/audit', TIME, []))
    expect(parseCheckpointText(text)).toBeDefined()
    expect(change(text)).not.toBe(text)
    expect(parseCheckpointText(change(text))).toBeUndefined()
  })
})

describe('the heads beside a checkpoint', () => {
  const three: readonly Head[] = [1, 2, 3].map(number => ({
    hostId: `0000000${number}-0000-4000-8000-000000000001`,
    sequenceNum: BigInt(number * 10),
    linkHash: String(number).repeat(64),
  }))
  const text = headsText(three)
  const checkpoint = makeCheckpoint('example.com/audit', TIME, three)

  it('are refused once they are cut, or one bit of them is turned', () => {
    for (let length = 0; length < text.length; length++) {
      expect(parseHeads(text.slice(0, length), checkpoint)).toBeTypeOf('string')
    }
    for (let bit = 0; bit < text.length * 8; bit++) {
      const damaged = Buffer.from(text, 'latin1')
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(parseHeads(damaged.toString('latin1'), checkpoint)).toBeTypeOf('string')
    }
  })

  it('are refused in any other order, with one twice, one left out, or one more', () => {
    const lines = text.split('\n').slice(0, -1)
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...lines), { maxLength: 5 }), some => {
        const given = some.map(line => `${line}\n`).join('')
        if (given !== text) expect(parseHeads(given, checkpoint)).toBeTypeOf('string')
      }),
      { numRuns: 500 },
    )
  })

  it('are refused out of order even where the signed root is over that order', () => {
    for (const disordered of [
      three.toReversed(),
      [three[0], three[0], three[1]].flatMap(each => each ?? []),
    ]) {
      const over = makeCheckpoint('example.com/audit', TIME, disordered)
      expect(parseHeads(headsText(disordered), over)).toMatch(/not in the order of the hosts/)
    }
  })

  it('are refused where they do not have the signed number of entries', () => {
    expect(parseHeads(text, { ...checkpoint, entries: 61n })).toBe('expected heads of 61 entries, found 60')
  })

  it.each([
    ['a number with a leading zero', ' 10 ', ' 010 '],
    ['the number 0', ' 10 ', ' 0 '],
    ['a number beyond 2^63', ' 10 ', ' 9223372036854775808 '],
    ['a host in capitals', '-4000-8000', '-4000-800A'],
    ['a hash in capitals', '1'.repeat(64), 'A'.repeat(64)],
    ['a hash that is too short', '1'.repeat(64), '1'.repeat(63)],
    ['two spaces', ' 10 ', '  10 '],
    ['a space after it', '1'.repeat(64), `${'1'.repeat(64)} `],
    ['a carriage return', '1'.repeat(64), `${'1'.repeat(64)}\r`],
  ])('are refused with %s', (_, from, to) => {
    const [line = ''] = text.split('\n')
    expect(parseHead(line)).toEqual(three[0])
    expect(parseHead(line.replace(from, to))).toBeUndefined()
    expect(parseHeads(text.replace(from, to), checkpoint)).toBe('line 1 is no head')
  })

  it('are any heads that PostgreSQL can hold', () => {
    fc.assert(
      fc.property(head, each => {
        expect(parseHead(headText(each))).toEqual(each)
      }),
    )
  })
})

describe('the files of a checkpoint', () => {
  let folder: string
  let made = 0
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tripwire-checkpoint-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const one = [{ hostId: '00000000-0000-4000-8000-000000000001', sequenceNum: 7n, linkHash: 'a'.repeat(64) }]

  async function written(): Promise<string> {
    const path = join(folder, `${made++}.checkpoint`)
    await writeCheckpoint('out', path, { note: signed(one), heads: headsText(one) })
    return path
  }

  it('are written whole, and read again', async () => {
    const path = await written()
    expect(await readCheckpoint('file', path, trusted)).toMatchObject({
      path,
      checkpoint: makeCheckpoint('example.com/audit', TIME, one),
      heads: one,
    })
    expect((await readdir(folder)).filter(name => name.startsWith('.'))).toEqual([])
  })

  it('are never written over, neither of the two', async () => {
    for (const end of ['.checkpoint', '.heads']) {
      const name = join(folder, `taken${end}`)
      await writeFile(name, 'precious')
      const write = writeCheckpoint('out', join(folder, 'taken.checkpoint'), { note: 'n', heads: 'h' })
      await expect(write).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'out' })
      expect(await readFile(name, 'utf8')).toBe('precious')
      await rm(name)
      await rm(join(folder, 'taken.heads'), { force: true })
    }
  })

  it('are refused when the heads are others, cut, too many, or not there', async () => {
    const other = one.map(each => ({ ...each, sequenceNum: 8n }))
    for (const content of ['', headsText(other), headsText(one).slice(0, -1), headsText([...one, ...one])]) {
      const path = await written()
      await writeFile(path.replace('.checkpoint', '.heads'), content)
      await expect(readCheckpoint('file', path, trusted)).rejects.toMatchObject({
        code: 'AUDIT_CHECKPOINT_INVALID',
      })
    }
    const path = await written()
    await rm(path.replace('.checkpoint', '.heads'))
    await expect(readCheckpoint('file', path, trusted)).rejects.toMatchObject({ code: 'AUDIT_FILE_FAILED' })
  })

  it('are not read further than what was signed can be, however long they are', async () => {
    const path = await written()
    await writeFile(path.replace('.checkpoint', '.heads'), Buffer.alloc(10_000_000, headsText(one)))
    expect(await rejection(readCheckpoint('file', path, trusted))).toMatchObject({
      code: 'AUDIT_CHECKPOINT_INVALID',
      message: expect.stringContaining('too long'),
    })
    await writeFile(path, Buffer.alloc(2_000_000, 'a'))
    expect(await rejection(readCheckpoint('file', path, trusted))).toMatchObject({
      code: 'AUDIT_CHECKPOINT_INVALID',
      message: expect.stringContaining('too long'),
    })
  })

  it('tell nothing of the heads before the signature is right', async () => {
    const path = await written()
    await writeFile(path.replace('.checkpoint', '.heads'), 'nonsense')
    await expect(readCheckpoint('file', path, [])).rejects.toMatchObject({
      code: 'AUDIT_CHECKPOINT_UNVERIFIED',
    })
  })

  it.each([undefined, 7, '', 'file', 'file.heads', '/no/such.checkpoint', 'a\0.checkpoint'])(
    'cannot be read from %j',
    async path => {
      await expect(readCheckpoint('file', path, trusted)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        field: 'file',
      })
    },
  )
})
