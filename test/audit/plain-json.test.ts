import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../src/audit/canonical-json.ts'
import { canonicalPlainJson } from '../../src/audit/plain-json.ts'

/** A value as PostgreSQL prints it, but for the order of members. */
function printed(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(printed).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([name, member]) => `${JSON.stringify(name)}: ${printed(member)}`)
    .join(', ')}}`
}

const plainString = fc.string({
  unit: fc.constantFrom('a', 'B', '/', ' ', ',', ':', '{', ']', 'é', '\u2028', '\u{1f600}', '\u007f'),
})

const plainText = fc
  .letrec(tie => ({
    value: fc.oneof(
      { maxDepth: 5, depthSize: 'small' },
      fc.oneof(plainString, fc.integer(), fc.constantFrom(true, false, null, 0, 0.5, -1.25)),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(plainString, tie('value'), { maxKeys: 16 }),
    ),
  }))
  .value.map(printed)

/** By way of the reader that takes any JSON: this one does not begin with white space. */
const anyway = (text: string) => canonicalJson(` ${text}`)

const outcomeOf = (read: () => string) => {
  try {
    return read()
  } catch (error) {
    return String(error).replace(/, near.*/, '')
  }
}

describe('canonical JSON of a plain text', () => {
  it('is the same as that of the reader that takes any JSON', () => {
    fc.assert(
      fc.property(plainText, text => {
        expect(canonicalPlainJson(text)).toBe(anyway(text))
      }),
      { numRuns: 5000 },
    )
  })

  it('is refused or the same when the text was tampered with', () => {
    const noise = fc.constantFrom(
      '',
      ' ',
      '"',
      ',',
      ':',
      '{',
      '}',
      '[',
      ']',
      '\\',
      '0',
      '-',
      '.',
      'e1',
      'nul',
      '\n',
      '\u0001',
    )
    fc.assert(
      fc.property(plainText, fc.nat(), fc.nat(3), noise, (text, at, length, added) => {
        const start = at % (text.length + 1)
        const tampered = text.slice(0, start) + added + text.slice(start + length)
        expect(outcomeOf(() => canonicalJson(tampered))).toBe(outcomeOf(() => anyway(tampered)))
      }),
      { numRuns: 20_000 },
    )
  })

  it.each([
    ['an escape', '"\\n"'],
    ['an exponent', '1e2'],
    ['white space', '{"a":1}'],
    ['more white space', '[1,  2]'],
    ['many members', printed(Object.fromEntries(Array.from({ length: 17 }, (_, index) => [index, 0])))],
    ['a deep list', `${'['.repeat(65)}${']'.repeat(65)}`],
    ['nothing', ''],
    ['half of a value', '{"a": [1, {"b"'],
    ['more than a value', '{} {}'],
  ])('is left to that reader where there is %s', (_, text) => {
    expect(canonicalPlainJson(text)).toBeUndefined()
  })
})
