import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canonicalJson } from '../../src/audit/canonical-json.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { canonicalTextOf, jsonText } from './json-text.ts'

const database = useTestDatabase('empty')
let client: pg.Client
beforeAll(async () => {
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
})
afterAll(() => client.end())

/** What PostgreSQL prints of these texts once they were values. */
async function printedByPostgres(texts: readonly string[]): Promise<readonly string[]> {
  const { rows } = await client.query<{ text: string }>(
    'SELECT given::jsonb::text AS text FROM unnest($1::text[]) WITH ORDINALITY AS each (given, place) ORDER BY place',
    [texts],
  )
  return rows.map(row => row.text)
}

describe('canonical JSON', () => {
  it('F31: is the same for any JSON, however PostgreSQL orders and prints it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(jsonText, { minLength: 1, maxLength: 50 }), async texts => {
        const printed = await printedByPostgres(texts)
        expect(printed.map(canonicalJson)).toEqual(texts.map(canonicalTextOf))
      }),
      { numRuns: 200 },
    )
  })

  it('is its own canonical form, and white space changes nothing', () => {
    fc.assert(
      fc.property(jsonText, text => {
        const canonical = canonicalJson(text)
        expect(canonicalJson(canonical)).toBe(canonical)
        expect(canonicalJson(` ${text}\r\n\t`)).toBe(canonical)
      }),
    )
  })

  it.each([
    [
      'members by UTF-16 units, where UTF-8 has another order',
      '{"\ufb33": 1, "\u{1f600}": 2}',
      '{"\u{1f600}":2,"\ufb33":1}',
    ],
    ['members by name, where PostgreSQL orders by length', '{"b": 1, "aa": 2}', '{"aa":2,"b":1}'],
    ['a name before those that it begins', '{"a!": 1, "a": 2, "": 3}', '{"":3,"a":2,"a!":1}'],
    [
      'names by what they say, not by their escapes',
      '{"\\u005c": 1, "]": 2, "[": 3}',
      '{"[":3,"\\\\":1,"]":2}',
    ],
    [
      'all escapes',
      '"\\u0008\\u0009\\u000a\\u000C\\u000d\\u0022\\u005C\\u002f\\/\\u001F\\u007f\\u00e9"',
      '"\\b\\t\\n\\f\\r\\"\\\\//\\u001f\u007f\u00e9"',
    ],
    ['a quote after backslashes', '["\\\\\\"", "\\\\"]', '["\\\\\\"","\\\\"]'],
    [
      'every digit',
      '[1.10, 9007199254740993, 0.10000000000000001, -1]',
      '[1.10,9007199254740993,0.10000000000000001,-1]',
    ],
    ['nothing', ' [ { } , [ ] , "" ] ', '[{},[],""]'],
    ['a scalar', ' null ', 'null'],
    [
      'names that mean something to JavaScript',
      '{"constructor": 1, "__proto__": {"a": 1}}',
      '{"__proto__":{"a":1},"constructor":1}',
    ],
  ])('keeps to the specification for %s', (_, given, canonical) => {
    expect(canonicalJson(given)).toBe(canonical)
  })

  it('reads a name that begins with an escape, whatever objects were parsed before', () => {
    // V8 13.6 takes the second name for that of the first, when JSON.parse reads both.
    JSON.parse('{"a": 1, "\\\\": 0}')
    expect(canonicalJson('{"a": 1, "\\n": 0}')).toBe('{"\\n":0,"a":1}')
  })

  it('takes any number of levels, in time that grows with the text', () => {
    const levels = 200_000
    const canonical = canonicalJson(`${'[{"b": '.repeat(levels)}1${', "a": 2}]'.repeat(levels)}`)
    expect(canonical.length).toBe(levels * '[{"a":2,"b":}]'.length + 1)
    expect(canonical.startsWith('[{"a":2,"b":[{"a":2,"b":')).toBe(true)
  })

  it('takes as many levels as PostgreSQL does', async () => {
    const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
    const [printed = ''] = await printedByPostgres([nested(3000)])
    expect(canonicalJson(printed)).toBe(nested(3000))
  })

  it.each([
    '',
    ' ',
    '{',
    '[',
    '"',
    '"a',
    '"\\"',
    '[1',
    '[1,',
    '[1,]',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{a:1}',
    '{1:1}',
    '{"a" 1}',
    '[1}',
    '{"a":1]',
    '1 2',
    '[1] [',
    'tru',
    'nul',
    '01',
    '+1',
    '1.',
    '.5',
    '1e',
    '-',
    'NaN',
    "'a'",
    '"\\x"',
    '"\\u12"',
    ']',
    ',',
  ])('refuses %j', text => {
    expect(() => canonicalJson(text)).toThrowError(expect.objectContaining({ code: 'MALFORMED_ROW' }))
  })
})
