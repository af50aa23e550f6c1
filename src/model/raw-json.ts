import { InvalidInputError } from '../errors.ts'

/** A plain JSON value, as `JSON.parse` returns it. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/**
 * A JSON document kept as text, so that no digit is lost on the way: numbers beyond 2^53 and decimals come back
 * as they were written. PostgreSQL's `jsonb` keeps values, not layout: white space, the order of keys and the notation of a
 * number (`1e2` becomes `100`) may differ after storing; `-0` becomes `0`.
 *
 * ```ts
 * RawJson.fromText('{"pid": 9007199254740993}').text // '{"pid": 9007199254740993}'
 * RawJson.from({ pid: 7 }).parse()                   // { pid: 7 }
 * ```
 */
export class RawJson {
  readonly text: string

  private constructor(text: string) {
    this.text = text
  }

  /**
   * Wraps JSON text.
   * @throws InvalidInputError when the text is not one JSON document, or holds half a surrogate pair.
   */
  static fromText(text: string): RawJson {
    if (typeof text !== 'string') throw new InvalidInputError('json', text, 'JSON text')
    try {
      JSON.parse(text)
    } catch (cause) {
      throw new InvalidInputError('json', text, 'JSON text', { cause })
    }
    if (!text.isWellFormed()) throw new InvalidInputError('json', text, 'text without lone surrogates')
    return new RawJson(text)
  }

  /**
   * Serialises a plain value. Objects with `toJSON`, such as a `Date`, take part as what that returns.
   * @throws InvalidInputError when something in it has no JSON form, and would be lost or changed: `undefined` in a list, a
   *   function, a bigint, NaN, a Map, a cycle.
   */
  static from(value: JsonValue): RawJson {
    let text: string | undefined
    try {
      text = JSON.stringify(value)
    } catch (cause) {
      throw new InvalidInputError('json', value, 'a value with a JSON form', { cause })
    }
    if (text === undefined || !hasJsonForm(value))
      throw new InvalidInputError('json', value, 'a value with a JSON form')
    return new RawJson(text)
  }

  /** Wraps text that PostgreSQL returned from a `jsonb` column, which is valid by construction. @internal */
  static fromDatabase(text: string): RawJson {
    return new RawJson(text)
  }

  /** The document as plain values. Numbers beyond 2^53 lose digits here, and only here. */
  parse(): JsonValue {
    const value: JsonValue = JSON.parse(this.text)
    return value
  }

  /** The text itself. */
  toString(): string {
    return this.text
  }

  /** Lets `JSON.stringify` embed the document, with the precision of `parse`. */
  toJSON(): JsonValue {
    return this.parse()
  }
}

/** `JSON.stringify` turns NaN into null and a Map into {} without a word. Called after it, so there is no cycle. */
function hasJsonForm(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      return value === null || hasJsonMembers(value)
    default:
      return false
  }
}

function hasJsonMembers(value: object): boolean {
  if (Array.isArray(value)) return value.every(hasJsonForm)
  if ('toJSON' in value && typeof value.toJSON === 'function') return true
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  return Object.values(value).every(member => member === undefined || hasJsonForm(member))
}
