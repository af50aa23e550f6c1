import { hash } from 'node:crypto'
import { canonicalJson } from '../../src/audit/canonical-json.ts'
import { GENESIS_LINK, type LinkFields, linkHash, linkPreimage } from '../../src/audit/link-hash.ts'

/** A JSON text, and how PostgreSQL prints it as `jsonb`, which a test asks it. */
export interface CanonicalVector {
  readonly given: string
  readonly printed: string
}

const NESTED = 24

export const CANONICAL_VECTORS: readonly CanonicalVector[] = [
  { given: ' { "a" : [ 1 , true , null ] } ', printed: '{"a": [1, true, null]}' },
  {
    given: '{"bb": 1, "b": 2, "a!": 3, "a": 4, "B": 5, "": 6}',
    printed: '{"": 6, "B": 5, "a": 4, "b": 2, "a!": 3, "bb": 1}',
  },
  { given: '{"b": 1, "a": 2, "b": 3}', printed: '{"a": 2, "b": 3}' },
  { given: String.raw`{"\ufb33": 1, "\ud83d\ude00": 2}`, printed: '{"\ufb33": 1, "\u{1f600}": 2}' },
  {
    given: String.raw`"\u0008\u0009\u000a\u000c\u000d\u0022\u005c\u002f\/\u001F\u00e9"`,
    printed: String.raw`"\b\t\n\f\r\"\\//\u001f` + '\u00e9"',
  },
  { given: '[{}, [], ""]', printed: '[{}, [], ""]' },
  { given: '[-0, -0.0, 1e2, 1.10, 1.10e1, 25E-4]', printed: '[0, 0.0, 100, 1.10, 11.0, 0.0025]' },
  {
    given: '[12345678901234567, 9007199254740993, 0.12345678901234567]',
    printed: '[12345678901234567, 9007199254740993, 0.12345678901234567]',
  },
  { given: '1e400', printed: `1${'0'.repeat(400)}` },
  {
    given: `${'[{"b":'.repeat(NESTED)}0${',"a":1}]'.repeat(NESTED)}`,
    printed: `${'[{"a": 1, "b": '.repeat(NESTED)}0${'}]'.repeat(NESTED)}`,
  },
]

export function canonicalBlock(): string {
  return CANONICAL_VECTORS.map(({ given, printed }) => `${given.trim()} -> ${canonicalJson(printed)}`).join(
    '\n',
  )
}

/** An entry as it stands in the table. */
export interface ChainVector {
  readonly fields: LinkFields
  readonly eventHash: string
  readonly rowHash: string | null
  readonly linkHash: string
}

const HOST_ID = '0b6a1c5e-3d1f-4b52-9a53-0f6f4f3f2a10'

const ENTRIES = [
  {
    entryId: '5f0c6f5c-0c7b-4f9e-8a54-2f4f4b2f7a11',
    createdAt: '2026-03-01T10:00:00.123456Z',
    payload: '{"actor": "zo\u00eb", "action": "login"}',
  },
  {
    entryId: '7c1f0c52-53f2-4f2e-9a0a-6c1b8e7f5a12',
    createdAt: '2026-03-01T10:00:01.000000Z',
    payload: '{"pid": 9007199254740993, "ratio": 1.10}',
    // Of an agent that hashes in its own way; here the SHA-256 of "agent".
    eventHash: hash('sha256', 'agent', 'hex'),
  },
  {
    entryId: '91d2a9d0-8a3e-4b7c-b1c5-0d3e5c6f7a13',
    createdAt: '2026-03-01T10:00:01.000001Z',
    payload: 'null',
  },
] as const

export function chainVectors(): readonly ChainVector[] {
  const vectors: ChainVector[] = []
  let prevHash = GENESIS_LINK
  let prevLink = GENESIS_LINK
  for (const [index, entry] of ENTRIES.entries()) {
    const { entryId, createdAt, payload } = entry
    const givenEventHash = 'eventHash' in entry ? entry.eventHash : ''
    const fields = {
      ...{ hostId: HOST_ID, sequenceNum: index + 1, entryId, createdAt },
      ...{ prevHash, prevLink, givenEventHash, payload },
    }
    const link = linkHash(fields)
    const eventHash = givenEventHash || link
    vectors.push({ fields, eventHash, rowHash: givenEventHash ? link : null, linkHash: link })
    prevHash = eventHash
    prevLink = link
  }
  return vectors
}

export function chainBlock(): string {
  return chainVectors().map(describeEntry).join('\n\n')
}

const LINE_BYTES = 64

function describeEntry({ fields, eventHash, rowHash, linkHash }: ChainVector): string {
  const canonical = canonicalJson(fields.payload)
  // Once is enough to see how it is put together.
  const preimage = fields.sequenceNum === 1 ? Buffer.from(linkPreimage(fields)).toString('hex') : ''
  const lines = [
    ['host', fields.hostId],
    ['sequence', String(fields.sequenceNum)],
    ['entry', fields.entryId],
    ['time', fields.createdAt],
    ['previous hash', fields.prevHash],
    ['event hash', eventHash],
    ['row hash', rowHash ?? '-'],
    ['version', '1'],
    ['payload', fields.payload],
    ['canonical payload', canonical],
    ['its SHA-256', hash('sha256', canonical, 'hex')],
    ['previous link', fields.prevLink],
    ['given event hash', fields.givenEventHash || '-'],
    ...(preimage.match(new RegExp(`.{1,${2 * LINE_BYTES}}`, 'g')) ?? []).map((line, index) => [
      index === 0 ? 'preimage, hex' : '',
      line,
    ]),
    ['link hash', linkHash],
  ]
  return lines.map(([name = '', value = '']) => `${name.padEnd(18)} ${value}`).join('\n')
}
