import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MessageSplitter, type Piece, type Side, WireProtocolError } from '../support/wire-messages.ts'
import { textOf } from '../support/wire-text.ts'

interface Sent {
  readonly name: string
  readonly bytes: Buffer
}

function packet(name: string, type: string, body: Uint8Array): Sent {
  const bytes = Buffer.alloc(type.length + 4 + body.length)
  bytes.write(type, 'latin1')
  bytes.writeUInt32BE(body.length + 4, type.length)
  bytes.set(body, type.length + 4)
  return { name, bytes }
}

function startup(name: string, code: number, text = ''): Sent {
  const body = Buffer.alloc(4 + text.length)
  body.writeUInt32BE(code)
  body.write(text, 4)
  return packet(name, '', body)
}

const body = fc.uint8Array({ maxLength: 60 })
const typed = (types: Record<string, string>) =>
  fc
    .tuple(fc.constantFrom(...Object.entries(types)), body)
    .map(([[type, name], bytes]) => packet(name, type, bytes))

const clientStream = fc
  .tuple(
    fc.array(fc.constantFrom(startup('SSLRequest', 80_877_103), startup('GSSENCRequest', 80_877_104)), {
      maxLength: 2,
    }),
    fc.constantFrom(196_608, 196_610).map(version => startup('StartupMessage', version, 'user\0me\0\0')),
    fc.array(typed({ Q: 'Query', P: 'Parse', d: 'CopyData', c: 'CopyDone', S: 'Sync' })),
  )
  .map(([requests, start, rest]) => [...requests, start, ...rest])
const serverStream = fc.array(
  typed({ C: 'CommandComplete', D: 'DataRow', d: 'CopyData', Z: 'ReadyForQuery' }),
)

/** Chunks of the given sizes, over and over. */
function* chunksOf(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let start = 0, index = 0; start < bytes.length; index++) {
    const end = start + (sizes[index % sizes.length] ?? 1)
    yield bytes.subarray(start, end)
    start = end
  }
}

function split(from: Side, chunks: Iterable<Buffer>, whole: (name: string) => boolean): Piece[] {
  const splitter = new MessageSplitter(from, whole)
  return [...chunks].flatMap(chunk => [...splitter.push(chunk)])
}

function joined(pieces: readonly Piece[]): Sent[] {
  const sent: { name: string; parts: Buffer[] }[] = []
  for (const piece of pieces) {
    if (piece.start) sent.push({ name: piece.message, parts: [] })
    sent.at(-1)?.parts.push(piece.bytes)
  }
  return sent.map(({ name, parts }) => ({ name, bytes: Buffer.concat(parts) }))
}

describe('the message splitter', () => {
  const cases: readonly [Side, fc.Arbitrary<readonly Sent[]>][] = [
    ['client', clientStream],
    ['server', serverStream],
  ]
  for (const [from, stream] of cases) {
    it(`finds the messages of the ${from}, whatever the chunks`, () => {
      const sizes = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 20 })
      const wanted = fc.subarray(['Query', 'Parse', 'CopyData', 'CommandComplete', 'ReadyForQuery'])
      fc.assert(
        fc.property(stream, sizes, wanted, (messages, chunkSizes, names) => {
          const bytes = Buffer.concat(messages.map(sent => sent.bytes))
          const pieces = split(from, chunksOf(bytes, chunkSizes), name => names.includes(name))
          expect(joined(pieces)).toEqual(messages)
          expect(pieces.filter(piece => piece.end)).toHaveLength(messages.length)
          for (const piece of pieces) {
            expect(piece.bytes.length).toBeGreaterThan(0)
            if (names.includes(piece.message)) expect(piece).toMatchObject({ start: true, end: true })
          }
        }),
        { numRuns: 500 },
      )
    })
  }

  it('passes a message of many megabytes on in the chunks it comes in', () => {
    const { bytes } = packet('CopyData', 'd', Buffer.alloc(5_000_000))
    const pieces = split('server', chunksOf(bytes, [65_536]), () => false)
    expect(Math.max(...pieces.map(piece => piece.bytes.length))).toBeLessThanOrEqual(65_536 + 5)
    expect(joined(pieces)).toHaveLength(1)
  })

  it('refuses what is not the protocol', () => {
    const tlsHello = Buffer.from('16030100f8010000f40303', 'hex')
    expect(() => split('client', [tlsHello], () => false)).toThrow(WireProtocolError)
    expect(() => split('server', [Buffer.from('\0\0\0\0\0\0')], () => false)).toThrow(WireProtocolError)
  })
})

describe('the text of a message', () => {
  it.each<[Side, Parameters<typeof textOf>[1], Sent, string]>([
    ['client', 'Query', packet('', 'Q', Buffer.from('SELECT 1\0')), 'SELECT 1'],
    ['client', 'Parse', packet('', 'P', Buffer.from('name\0SELECT $1\0\0\x01')), 'SELECT $1'],
    ['client', 'StartupMessage', startup('', 196_608, 'user\0me\0database\0db\0\0'), 'user=me database=db'],
    ['server', 'CommandComplete', packet('', 'C', Buffer.from('COPY 3\0')), 'COPY 3'],
    ['server', 'ErrorResponse', packet('', 'E', Buffer.from('SERROR\0C23505\0Mtwice\0\0')), '23505 twice'],
    ['server', 'ReadyForQuery', packet('', 'Z', Buffer.from('T')), 'T'],
  ])('%s %s', (from, name, sent, text) => {
    expect(textOf(from, name, sent.bytes)).toBe(text)
  })
})
