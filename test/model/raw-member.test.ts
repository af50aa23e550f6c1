import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rawMember } from '../../src/model/raw-member.ts'

/** White space that JSON allows between tokens. */
const space = fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\r'), maxLength: 3 })

/** A key or string written with every character escaped, or as `JSON.stringify` writes it. */
const quoted = (text: string) =>
  fc.constantFrom(
    JSON.stringify(text),
    `"${text
      .split('')
      .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join('')}"`,
  )

const keys = fc.oneof(fc.constantFrom('a', 'b', '__proto__', 'é"\\', ''), fc.string({ maxLength: 4 }))
const value = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc.constantFrom(
    '9007199254740993',
    '-0',
    '1E+400',
    '0.10',
    'null',
    'true',
    '"}]\\",{["',
    '[ { "a" : 1 } , 2 ]',
  ),
  fc.string().chain(quoted),
)
const member = fc
  .tuple(keys, space, space, space, space, value)
  .chain(([key, before, afterKey, beforeValue, after, source]) =>
    quoted(key).map(keySource => ({
      key,
      source,
      text: `${before}${keySource}${afterKey}:${beforeValue}${source}${after}`,
    })),
  )

describe('the source text of one member', () => {
  it('is what stands in the document, the last one when a key stands there twice', () => {
    fc.assert(
      fc.property(
        fc.array(member, { maxLength: 6 }),
        space,
        space,
        keys,
        (members, before, after, absent) => {
          const text = `${before}{${members.length === 0 ? after : members.map(one => one.text).join(',')}}${after}`
          const parsed = new Map(Object.entries(JSON.parse(text)))
          for (const key of [...members.map(one => one.key), absent]) {
            const source = rawMember(text, key)
            expect(source).toBe(members.findLast(one => one.key === key)?.source)
            expect(source !== undefined).toBe(parsed.has(key))
            if (source !== undefined) expect(JSON.parse(source)).toEqual(parsed.get(key))
          }
        },
      ),
    )
  })

  it('is found whatever the depth of nesting', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000)
    expect(rawMember(`{"a":${deep},"b":7}`, 'a')).toBe(deep)
    expect(rawMember(`{"a":${deep},"b":7}`, 'b')).toBe('7')
  })

  it('does not come from a member inside another', () => {
    expect(rawMember('{"outer":{"inner":1},"text":"\\"inner\\":2"}', 'inner')).toBeUndefined()
  })
})
