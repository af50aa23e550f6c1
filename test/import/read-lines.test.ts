import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/errors.ts'
import { type ReadLine, type ReadLinesOptions, readLines } from '../../src/import/read-lines.ts'

/** The bytes in chunks of the given sizes, over and over, each in a buffer that is overwritten afterwards. */
async function* chunked(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0
  for (let turn = 0; start < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    const chunk = Buffer.from(bytes.subarray(start, start + size))
    yield chunk
    chunk.fill(0x3f)
    start += size
  }
}

async function linesOf(
  bytes: Uint8Array,
  sizes: readonly number[] = [65_536],
  options: ReadLinesOptions = {},
) {
  const lines: ReadLine[] = []
  let error: unknown
  try {
    for await (const line of readLines(chunked(bytes, sizes), options)) lines.push(line)
  } catch (caught) {
    error = caught
  }
  return { lines, error }
}

const textsOf = async (bytes: Uint8Array, sizes?: readonly number[]) => {
  const { lines, error } = await linesOf(bytes, sizes)
  expect(error).toBeUndefined()
  return lines.map(line => ('text' in line ? `${line.lineNumber}:${line.text}` : line))
}

const utf8 = (text: string) => Buffer.from(text, 'utf8')
const manyLines = Array.from(
  { length: 20_000 },
  (_, index) => `{"n":${index},"hash":"${(index * 2_654_435_761) % 4_294_967_296}"}`,
)
const manyBytes = utf8(`${manyLines.join('\n')}\n`)

const content = fc.oneof(
  fc.string({ unit: 'binary' }).map(text => text.replace(/[\r\n]/g, '').toWellFormed()),
  fc.constantFrom('', '\uFEFF', 'é🦊', ' \t'),
)
const line = fc.tuple(content, fc.constantFrom('\n', '\r\n'))
// Sizes of at least 1: a source of nothing but empty chunks would not end.
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })

describe('reading lines', () => {
  it('gives the same lines however the bytes are cut, plain or in gzip of one or more members', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(line), content, sizes, fc.nat(), async (ended, last, cuts, at) => {
        const text = ended.map(one => one.join('')).join('') + last
        const expected = [...ended.map(([one]) => one), last].flatMap((one, index) => {
          const shown = index === 0 ? one.replace(/^\uFEFF/, '') : one
          return shown.trim() === '' ? [] : [`${index + 1}:${shown}`]
        })
        const bytes = utf8(text)
        const cut = at % (bytes.length + 1)
        expect(await textsOf(bytes, cuts)).toEqual(expected)
        expect(await textsOf(gzipSync(bytes), cuts)).toEqual(expected)
        const members = Buffer.concat([gzipSync(bytes.subarray(0, cut)), gzipSync(bytes.subarray(cut))])
        expect(await textsOf(members, cuts)).toEqual(expected)
      }),
    )
  })

  it('drops a byte order mark at the start and accepts CRLF and a last line without an end', async () => {
    expect(await textsOf(utf8('\uFEFFa\r\n\r\n\uFEFFb\n\nc'))).toEqual(['1:a', '3:\uFEFFb', '5:c'])
    expect(await textsOf(utf8(''))).toEqual([])
    expect(await textsOf(gzipSync(''))).toEqual([])
    expect(await textsOf(Uint8Array.of(0x1f))).toEqual(['1:\x1f'])
  })

  it('passes over empty chunks, before the magic number too', async () => {
    const zipped = gzipSync('a\nb')
    async function* source() {
      for (const byte of zipped) yield* [new Uint8Array(), Uint8Array.of(byte)]
    }
    const lines: ReadLine[] = []
    for await (const one of readLines(source())) lines.push(one)
    expect(lines).toEqual([
      { lineNumber: 1, text: 'a' },
      { lineNumber: 2, text: 'b' },
    ])
  })

  it('reports a line that is too long and goes on with the next', async () => {
    const bytes = utf8('12345\n123456\r\n1234567890123\n1234\r\n123456')
    for (const cuts of [[1], [3], [100]]) {
      expect((await linesOf(bytes, cuts, { maxLineBytes: 5 })).lines).toEqual([
        { lineNumber: 1, text: '12345' },
        { lineNumber: 2, problem: 'longer than 5 bytes' },
        { lineNumber: 3, problem: 'longer than 5 bytes' },
        { lineNumber: 4, text: '1234' },
        { lineNumber: 5, problem: 'longer than 5 bytes' },
      ])
    }
  })

  it('does not hold a line that is too long', async () => {
    const block = new Uint8Array(1_048_576).fill(0x61)
    let highest = 0
    async function* source() {
      for (let count = 0; count < 512; count++) {
        yield block
        highest = Math.max(highest, process.memoryUsage().arrayBuffers)
      }
      yield utf8('\nend')
    }
    const before = process.memoryUsage().arrayBuffers
    const lines: ReadLine[] = []
    for await (const one of readLines(source())) lines.push(one)
    expect(lines).toEqual([
      { lineNumber: 1, problem: 'longer than 1048576 bytes' },
      { lineNumber: 2, text: 'end' },
    ])
    // 512 MiB went through. What the collector has not taken yet stays well below.
    expect(highest - before).toBeLessThan(256 * 1_048_576)
  })

  it('reports a line that is not UTF-8 and goes on with the next', async () => {
    const bytes = Buffer.concat([
      utf8('a\nb'),
      Uint8Array.of(0xc3, 0x28),
      utf8('\nc\n'),
      Uint8Array.of(0xe2, 0x82),
    ])
    expect((await linesOf(bytes)).lines).toEqual([
      { lineNumber: 1, text: 'a' },
      { lineNumber: 2, problem: 'not valid UTF-8' },
      { lineNumber: 3, text: 'c' },
      { lineNumber: 4, problem: 'not valid UTF-8' },
    ])
  })

  it('refuses a limit that is not a positive whole number', async () => {
    const { error } = await linesOf(utf8('a'), [1], { maxLineBytes: 0 })
    expect(error).toMatchObject({ code: 'INVALID_INPUT', field: 'maxLineBytes' })
  })
})

describe('reading lines from damaged gzip', () => {
  it('gives every whole line before an early end, then says after how many it ended', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 60 }),
        fc.integer({ min: 1, max: 30 }),
        sizes,
        async (count, missing, cuts) => {
          const texts = manyLines.slice(0, count)
          const zipped = gzipSync(texts.join('\n'), { level: 0 })
          const { lines, error } = await linesOf(
            zipped.subarray(0, Math.max(2, zipped.length - missing)),
            cuts,
          )
          expect(error).toBeInstanceOf(InvalidInputError)
          expect(error).toMatchObject({
            field: 'source',
            value: `unexpected end of file, after ${lines.length} lines`,
          })
          expect(lines).toEqual(
            texts.slice(0, lines.length).map((text, index) => ({ lineNumber: index + 1, text })),
          )
          // Stored without compression, so 8 bytes of checksum and length, and then text, are missing.
          const whole = texts.join('\n').slice(0, texts.join('\n').length - Math.max(0, missing - 8))
          expect(lines.length).toBe(whole.split('\n').length - 1)
        },
      ),
    )
  })

  it('gives the lines up to damage in the middle', async () => {
    const zipped = Buffer.from(gzipSync(manyBytes))
    const middle = zipped.length >> 1
    zipped.fill(0xff, middle, middle + 64)
    const { lines, error } = await linesOf(zipped)
    expect(error).toMatchObject({ field: 'source', value: expect.stringMatching(/, after \d+ lines$/) })
    // Half of the compressed bytes are whole; what follows may be garbled before zlib notices.
    const whole = manyLines.slice(0, 8_000).map((text, index) => ({ lineNumber: index + 1, text }))
    expect(lines.slice(0, whole.length)).toEqual(whole)
  })

  it.each([[1], [16_384]])(
    'notices a wrong checksum and foreign data after the end, in chunks of %i bytes',
    async size => {
      const zipped = gzipSync('a\nb\n')
      const wrong = Buffer.from(zipped)
      wrong.writeUInt8(wrong.readUInt8(wrong.length - 6) ^ 0xff, wrong.length - 6)
      const foreign = [
        wrong,
        Buffer.concat([zipped, utf8('{}\n')]),
        Buffer.concat([zipped, new Uint8Array(40), utf8('{}')]),
        Buffer.concat([zipped, new Uint8Array(40_000), zipped]),
      ]
      for (const bytes of foreign)
        expect((await linesOf(bytes, [size])).error).toMatchObject({ field: 'source' })
      expect(await textsOf(Buffer.concat([zipped, new Uint8Array(40_000)]), [size])).toEqual(['1:a', '2:b'])
    },
  )
})

describe('the source of lines', () => {
  it.each([
    ['plain', manyBytes],
    ['gzip', gzipSync(manyBytes)],
  ])('is released when the loop is left early: %s', async (_form, bytes) => {
    let released = false
    async function* source() {
      try {
        yield* chunked(bytes, [4096])
      } finally {
        released = true
      }
    }
    for await (const one of readLines(source())) if (one.lineNumber === 3) break
    expect(released).toBe(true)
  })

  it('is closed when it is a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'read-lines-'))
    try {
      const path = join(folder, 'lines.gz')
      await writeFile(path, gzipSync(manyBytes))
      const stream = createReadStream(path, { highWaterMark: 512 })
      for await (const one of readLines(stream)) if (one.lineNumber === 3) break
      expect(stream.destroyed).toBe(true)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('passes its own error on unchanged, after the lines before it', async () => {
    const failure = new Error('the disk is gone')
    async function* source() {
      yield utf8('a\nb')
      throw failure
    }
    const lines: ReadLine[] = []
    const reading = async () => {
      for await (const one of readLines(source())) lines.push(one)
    }
    await expect(reading()).rejects.toBe(failure)
    expect(lines).toEqual([{ lineNumber: 1, text: 'a' }])
  })
})
