import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  generateAuditKey,
  type NoteSigner,
  type NoteVerifier,
  parseSigner,
  parseVerifier,
} from '../../src/audit/note/audit-key.ts'
import { openNote, signNote } from '../../src/audit/note/signed-note.ts'

/** Published with golang.org/x/mod/sumdb/note. */
const PETER_PRIVATE = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'
const PETER_PUBLIC = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const ENOCH_PUBLIC = 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'
const TEXT =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
const PETER_LINE =
  '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'
const ENOCH_LINE =
  '\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n'

const peter = required(parseVerifier(PETER_PUBLIC))
const enoch = required(parseVerifier(ENOCH_PUBLIC))
const peterSigner = required(parseSigner(PETER_PRIVATE))

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('expected a value')
  return value
}

const open = (note: string | Uint8Array, ...keys: readonly NoteVerifier[]) =>
  openNote(Buffer.from(note), keys)

function newSigner(name = 'example.com/audit'): NoteSigner {
  return required(parseSigner(generateAuditKey(name).privateKey))
}

describe('the published note', () => {
  it('comes out of the published key', () => {
    expect(signNote(TEXT, [peterSigner])).toBe(`${TEXT}\n${PETER_LINE}`)
    expect(peterSigner.verifier.keyHash).toBe(peter.keyHash)
  })

  it('is verified by the known keys among its signers', () => {
    const both = `${TEXT}\n${PETER_LINE}${ENOCH_LINE}`
    expect(open(both, peter)).toEqual({ outcome: 'verified', text: TEXT, signedBy: [peter] })
    expect(open(both, enoch, peter)).toEqual({ outcome: 'verified', text: TEXT, signedBy: [peter, enoch] })
    // The same signature again, and more of keys that nobody knows.
    expect(open(`${both}${PETER_LINE}${ENOCH_LINE}`, peter)).toMatchObject({ signedBy: [peter] })
  })

  it('F34 tells nothing when no key is given, or another one', () => {
    const note = `${TEXT}\n${PETER_LINE}`
    const nothing = { outcome: 'noKnownKey', signedBy: ['PeterNeumann+c74f20a3'] }
    expect(open(note)).toEqual(nothing)
    expect(open(note, enoch)).toEqual(nothing)
    // A key of the same name, and a name with the same hash, are other keys.
    expect(open(note, newSigner('PeterNeumann').verifier)).toEqual(nothing)
    expect(open(note.replace('PeterNeumann', 'CarmenSandiego'), peter)).toMatchObject({
      outcome: 'noKnownKey',
    })
    expect(open(note.replace('x08g', 'xxxx'), peter)).toMatchObject({ outcome: 'noKnownKey' })
  })

  it('is refused when one of several known keys did not sign it', () => {
    const otherText = signNote(`${TEXT}more\n`, [peterSigner]).split('\n\n')[1] ?? ''
    expect(open(`${TEXT}\n${otherText}`, peter)).toEqual({ outcome: 'wrongSignature', key: peter })
    expect(open(`${TEXT}\n${ENOCH_LINE}${otherText}`, peter, enoch)).toMatchObject({
      outcome: 'wrongSignature',
    })
    expect(open(`${TEXT}\n${PETER_LINE}${otherText}`, peter)).toMatchObject({ outcome: 'wrongSignature' })
    // Cut, and with bytes too many.
    for (const length of [5, 67, 69, 200]) {
      const bytes = Buffer.alloc(length, Buffer.from(PETER_LINE.split(' ')[2] ?? '', 'base64'))
      const note = `${TEXT}\n\u2014 PeterNeumann ${bytes.toString('base64')}\n`
      expect(open(note, peter)).toEqual({ outcome: 'wrongSignature', key: peter })
    }
  })
})

describe('the note of the specification', () => {
  it('is read with its blank line inside', () => {
    const text = `Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n`
    const note = `${text}\n\u2014 quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n`
    expect(open(note)).toEqual({ outcome: 'noKnownKey', signedBy: ['quasimodo.example/salvatore+367ba04b'] })
  })
})

describe('a note', () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 30 }).filter(hasNoControlCharacter)
  const text = fc.array(line, { minLength: 1, maxLength: 8 }).map(lines => `${lines.join('\n')}\n`)

  it('opens with the key that signed it, with the same text, among up to 100 signatures', () => {
    const signers = Array.from({ length: 100 }, (_, index) => newSigner(`example.com/${index}`))
    const [last] = signers.slice(-1)
    fc.assert(
      fc.property(text, given => {
        const note = signNote(given, signers)
        expect(open(note, required(last).verifier)).toMatchObject({ outcome: 'verified', text: given })
      }),
      { numRuns: 20 },
    )
    expect(open(signNote(TEXT, [...signers, peterSigner]), peter)).toMatchObject({ outcome: 'malformed' })
  })

  it('is never verified once it is cut, or one bit of it is turned', () => {
    const note = Buffer.from(signNote('example.com/audit\n12\nroot\n', [peterSigner]))
    for (let length = 0; length < note.length; length++) {
      expect(open(note.subarray(0, length), peter).outcome).toBe('malformed')
    }
    for (let bit = 0; bit < note.length * 8; bit++) {
      const damaged = Buffer.from(note)
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(open(damaged, peter).outcome).not.toBe('verified')
    }
  })

  it('is never verified with other bytes: anything between, lines in another order, other line ends', () => {
    const note = signNote('one\ntwo\n\nthree\n', [peterSigner])
    fc.assert(
      fc.property(fc.nat(note.length), fc.uint8Array({ minLength: 1, maxLength: 4 }), (at, bytes) => {
        const [before, after] = [note.slice(0, at), note.slice(at)]
        const damaged = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
        expect(open(damaged, peter).outcome).not.toBe('verified')
      }),
      { numRuns: 2000 },
    )
    for (const damaged of [
      note.replace('one\ntwo', 'two\none'),
      note.replaceAll('\n', '\r\n'),
      `\ufeff${note}`,
      note.replace('three\n\n', 'three\n\n\n'),
      `${note}\n`,
      `${note}more\n`,
    ]) {
      expect(open(damaged, peter).outcome).not.toBe('verified')
    }
  })

  it.each([
    ['without signatures', TEXT],
    ['with none after its blank line', `${TEXT}\n`],
    ['whose last line is cut', `${TEXT}\n${PETER_LINE.slice(0, -1)}`],
    ['with a control character', `\u0001${TEXT}\n${PETER_LINE}`],
    ['with a tab', `\t${TEXT}\n${PETER_LINE}`],
    ['with NUL', `${TEXT}\0\n\n${PETER_LINE}`],
    ['that is not UTF-8', Buffer.concat([Buffer.of(0xff), Buffer.from(`${TEXT}\n${PETER_LINE}`)])],
    [
      'with a surrogate',
      Buffer.concat([Buffer.from('eda080', 'hex'), Buffer.from(`${TEXT}\n${PETER_LINE}`)]),
    ],
    ['with a line that is no signature', `${TEXT}\n${PETER_LINE}Unexpected line.\n`],
    ['with a hyphen for the dash', `${TEXT}\n${PETER_LINE.replace('\u2014', '-')}`],
    ['with a name with a space', `${TEXT}\n${PETER_LINE.replace('PeterNeumann', 'Bad Name')}`],
    ['with a name with a plus', `${TEXT}\n${PETER_LINE.replace('PeterNeumann', 'Bad+Name')}`],
    [
      'with a name with a space of Unicode',
      `${TEXT}\n${PETER_LINE.replace('PeterNeumann', 'Bad\u2003Name')}`,
    ],
    ['with an empty name', `${TEXT}\n${PETER_LINE.replace('PeterNeumann', '')}`],
    ['with an endless name', `${TEXT}\n${PETER_LINE.replace('PeterNeumann', 'a'.repeat(10_000))}`],
    ['with Base64 for URLs', `${TEXT}\n${PETER_LINE.replaceAll('/', '_')}`],
    ['with Base64 without its end', `${TEXT}\n${PETER_LINE.replace('=', '')}`],
    ['with Base64 of a second form', `${TEXT}\n${PETER_LINE.replace('nAM=', 'nAN=')}`],
    ['with a signature of a key hash alone', `${TEXT}\n\u2014 PeterNeumann x08gow==\n`],
    ['with 101 signatures', `${TEXT}\n${PETER_LINE.repeat(101)}`],
    ['that is too long', `${'a'.repeat(1_048_576)}\n\n${PETER_LINE}`],
    ['that is empty', ''],
  ])('%s is malformed, whatever key is known', (_, note) => {
    expect(open(note, peter)).toEqual({ outcome: 'malformed', reason: expect.any(String) })
    expect(open(note)).toMatchObject({ outcome: 'malformed' })
  })

  it('answers any bytes', () => {
    const piece = fc.oneof(
      fc.constantFrom('\n', '\n\n', '\u2014 ', 'PeterNeumann', ' ', PETER_LINE, TEXT, 'x08go/ZJ', '='),
      fc.string({ unit: 'binary', maxLength: 5 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
        const { outcome } = open(pieces.join(''), peter)
        if (outcome === 'verified') expect(pieces.join('')).toContain(`${TEXT}\n${PETER_LINE}`)
      }),
      { numRuns: 1000 },
    )
  })

  it.each(['', 'a', 'a\nb', 'a\r\n', 'a\u0000\n', 'a\ud800\n', 'a\tb\n'])(
    'is not made of the text %j',
    given => {
      expect(() => signNote(given, [peterSigner])).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
    },
  )
})

describe('a key', () => {
  it('is made anew each time, and its halves belong together', () => {
    const [one, two] = [generateAuditKey('example.com/a'), generateAuditKey('example.com/a')]
    expect(one.publicKey).not.toBe(two.publicKey)
    const signer = required(parseSigner(one.privateKey))
    const note = signNote(TEXT, [signer])
    expect(open(note, required(parseVerifier(one.publicKey)))).toMatchObject({ outcome: 'verified' })
    expect(open(note, required(parseVerifier(two.publicKey)))).toMatchObject({ outcome: 'noKnownKey' })
    expect(one.privateKey).toContain(`+${signer.verifier.keyHash}+`)
  })

  it.each([
    ['public', PETER_PUBLIC, parseVerifier],
    ['private', PETER_PRIVATE, parseSigner],
  ])('that is %s and was cut or changed is none', (_, key, parse) => {
    expect(parse(key)).toBeDefined()
    for (let from = 0; from <= key.length; from++) {
      for (let to = from; to <= key.length; to++) {
        if (from > 0 || to < key.length) expect(parse(key.slice(from, to))).toBeUndefined()
      }
    }
    for (let at = 0; at < key.length; at++) {
      const next = String.fromCharCode(key.charCodeAt(at) + 1)
      expect(parse(key.slice(0, at) + next + key.slice(at + 1))).toBeUndefined()
    }
  })

  it.each([
    [
      'is too long, with the hash that it would have',
      'PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==',
    ],
    [
      'is of an unknown kind, with the hash that it would have',
      'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
    ],
    ['is private', PETER_PRIVATE],
    ['has a line end', `${PETER_PUBLIC}\n`],
    ['has a hash in capitals', PETER_PUBLIC.replace('c74f20a3', 'C74F20A3')],
    ['has a name with a space', PETER_PUBLIC.replace('Peter', 'Peter ')],
  ])('that %s is no public key', (_, key) => {
    expect(parseVerifier(key)).toBeUndefined()
  })

  it('that is public is no private one', () => {
    expect(parseSigner(PETER_PUBLIC)).toBeUndefined()
  })

  it.each(['', 'a b', 'a+b', 'a\n', '\u00a0', 'a\u2028', '\ud800', 'a'.repeat(256), 7])(
    'cannot be named %j',
    name => {
      const generate = () => Reflect.apply(generateAuditKey, undefined, [name])
      expect(generate).toThrow(expect.objectContaining({ code: 'INVALID_INPUT', field: 'name' }))
    },
  )

  it('can have any name that the specification allows', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
      .filter(text => text.isWellFormed() && !/[\p{White_Space}+]/u.test(text))
      .filter(hasNoControlCharacter)
    fc.assert(
      fc.property(name, given => {
        const key = generateAuditKey(given)
        const note = signNote(TEXT, [required(parseSigner(key.privateKey))])
        expect(open(note, required(parseVerifier(key.publicKey)))).toMatchObject({ outcome: 'verified' })
      }),
      { numRuns: 100 },
    )
  })

  it('of any 32 bytes is answered, and verifies nothing that it did not sign', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(bytes, fc.uint8Array({ minLength: 64, maxLength: 64 }), (key, signature) => {
        expect(required(parseVerifier(publicKeyOf('x', key))).verifies(TEXT, signature)).toBe(false)
      }),
      { numRuns: 300 },
    )
  })
})

function hasNoControlCharacter(text: string): boolean {
  return [...text].every(character => character >= ' ')
}

/** A public key of these bytes, whatever they are. */
function publicKeyOf(name: string, bytes: Uint8Array): string {
  const key = Buffer.concat([Buffer.of(1), bytes])
  const preimage = Buffer.concat([Buffer.from(`${name}\n`), key])
  const keyHash = createHash('sha256').update(preimage).digest('hex').slice(0, 8)
  return `${name}+${keyHash}+${key.toString('base64')}`
}
