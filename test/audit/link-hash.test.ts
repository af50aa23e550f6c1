import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GENESIS_LINK, type LinkFields, linkHash } from '../../src/audit/link-hash.ts'
import { canonicalTextOf, jsonText } from './json-text.ts'
import { linkHashOf } from './specified-chain.ts'

const ENTRY: LinkFields = {
  hostId: '0b6a1c5e-3d1f-4b52-9a53-0f6f4f3f2a10',
  sequenceNum: 1,
  entryId: '5f0c6f5c-0c7b-4f9e-8a54-2f4f4b2f7a11',
  createdAt: '2026-03-01T10:00:00.123456Z',
  prevHash: GENESIS_LINK,
  prevLink: GENESIS_LINK,
  givenEventHash: '',
  payload: '{"action": "login"}',
}

/** Also of lengths and with characters that no honest row has. */
const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.integer({ min: 0, max: 300 }).map(length => 'x'.repeat(length)),
  fc.constantFrom('é', 'x'.repeat(127), 'x'.repeat(128), 'x'.repeat(0x10000 + 36), `${'x'.repeat(126)}é`),
)

describe('the link hash', () => {
  it('is that of the specification, for any text in any field', () => {
    fc.assert(
      fc.property(
        fc.record({
          hostId: anyText,
          sequenceNum: fc.oneof(anyText, fc.nat()),
          entryId: anyText,
          createdAt: anyText,
          prevHash: anyText,
          prevLink: anyText,
          givenEventHash: anyText,
          payload: jsonText.map(canonicalTextOf),
        }),
        fields => {
          expect(linkHash(fields)).toBe(linkHashOf(fields))
        },
      ),
    )
  })

  it('does not depend on how the payload is laid out', () => {
    expect(linkHash({ ...ENTRY, payload: '{"b":1,"a":[ ]}' })).toBe(
      linkHash({ ...ENTRY, payload: '{"a": [], "b": 1}' }),
    )
  })

  it.each([
    ['hostId', '1b6a1c5e-3d1f-4b52-9a53-0f6f4f3f2a10'],
    ['sequenceNum', 2],
    ['entryId', '6f0c6f5c-0c7b-4f9e-8a54-2f4f4b2f7a11'],
    ['createdAt', '2026-03-01T10:00:00.123457Z'],
    ['prevHash', '1'.repeat(64)],
    ['prevLink', '1'.repeat(64)],
    ['givenEventHash', '1'.repeat(64)],
    ['payload', '{"action": "logon"}'],
  ] satisfies readonly (readonly [keyof LinkFields, unknown])[])('changes with %s', (field, value) => {
    expect(linkHash({ ...ENTRY, [field]: value })).not.toBe(linkHash(ENTRY))
  })

  it('does not let a value move into the field beside it', () => {
    const [left, right] = [
      { ...ENTRY, hostId: 'ab', sequenceNum: 'c' },
      { ...ENTRY, hostId: 'a', sequenceNum: 'bc' },
    ]
    expect(linkHash(left)).not.toBe(linkHash(right))
  })

  it('refuses a payload that is not JSON', () => {
    expect(() => linkHash({ ...ENTRY, payload: '{' })).toThrowError(
      expect.objectContaining({ code: 'MALFORMED_ROW' }),
    )
  })
})
