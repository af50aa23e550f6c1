import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError, type JsonValue, RawJson } from '../../src/index.ts'

describe('RawJson', () => {
  it('keeps text as it is', () => {
    for (const text of ['{"pid": 9007199254740993}', ' [1.10, 1e2] ', 'null', '"\\u0000"', '-0']) {
      expect(RawJson.fromText(text).text).toBe(text)
      expect(String(RawJson.fromText(text))).toBe(text)
    }
  })

  it('returns any plain value from parse', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), value => {
        const json = RawJson.from(value as JsonValue)
        expect(json.parse()).toEqual(JSON.parse(JSON.stringify(value)))
        expect(JSON.parse(JSON.stringify({ json }))).toEqual({ json: JSON.parse(JSON.stringify(value)) })
      }),
    )
  })

  it.each(['', '{', '{a: 1}', '1 2', "'a'", 'undefined', 'NaN', '01', '"\ud800"'])(
    'refuses the text %j',
    text => {
      expect(() => RawJson.fromText(text)).toThrowError(
        expect.objectContaining({ code: 'INVALID_INPUT', field: 'json', value: text }),
      )
    },
  )

  it.each([5, null, true])('refuses %j in place of text', given => {
    expect(() => RawJson.fromText(given as unknown as string)).toThrowError(InvalidInputError)
  })

  const cycle: Record<string, unknown> = {}
  cycle['self'] = cycle
  it.each([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a bigint', { pid: 1n }],
    ['a cycle', cycle],
    ['NaN, which would become null', { ratio: Number.NaN }],
    ['Infinity, which would become null', [Number.POSITIVE_INFINITY]],
    ['a Map, which would become {}', { files: new Map([['a', 1]]) }],
  ])('refuses %s', (_, given) => {
    expect(() => RawJson.from(given as JsonValue)).toThrowError(InvalidInputError)
  })
})
