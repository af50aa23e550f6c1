/** Parsers for the kinds of values that callers hand in. Each names the field and the value in its error. */
import { isIP } from 'node:net'
import { InvalidInputError, type TripwireStorageError } from '../errors.ts'
import { nearestName } from './nearest-name.ts'
import { type JsonValue, RawJson } from './raw-json.ts'

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const UUID = new RegExp(CANONICAL_UUID, 'i')

/** A UUID in its canonical lower-case form. */
export function parseUuid(field: string, value: unknown): string {
  if (typeof value === 'string' && CANONICAL_UUID.test(value)) return value
  if (typeof value !== 'string' || !UUID.test(value)) throw new InvalidInputError(field, value, 'a UUID')
  return value.toLowerCase()
}

/** One of a closed list of names. */
export function parseOneOf<const T extends string>(field: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find(name => name === value)
  if (found !== undefined) return found
  const nearest = typeof value === 'string' ? nearestName(value, allowed) : undefined
  throw new InvalidInputError(field, value, `one of ${allowed.join(', ')}`, {
    hint: nearest && `did you mean ${nearest}?`,
  })
}

/** Text that PostgreSQL can store: not empty, no NUL, no lone surrogate, not longer than `maxLength` UTF-16 units. */
export function parseText(field: string, value: unknown, maxLength: number): string {
  if (typeof value !== 'string') throw new InvalidInputError(field, value, 'text')
  if (value.length === 0) throw new InvalidInputError(field, value, 'text that is not empty')
  if (value.length > maxLength)
    throw new InvalidInputError(field, value, `text of at most ${maxLength} characters`)
  if (value.includes('\0')) throw new InvalidInputError(field, value, 'text without NUL')
  if (!value.isWellFormed()) throw new InvalidInputError(field, value, 'text without lone surrogates')
  return value
}

/** `undefined` and `null` become `null`; anything else goes through the parser. */
export function parseOptional<T>(value: unknown, parse: (present: unknown) => T): T | null {
  return value === undefined || value === null ? null : parse(value)
}

export function parseBoolean(field: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new InvalidInputError(field, value, 'true or false')
  return value
}

/** A whole number within bounds, both included. */
export function parseInteger(field: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    throw new InvalidInputError(field, value, `a whole number from ${min} to ${max}`)
  }
  return value
}

/** An IPv4 or IPv6 address, with or without the length of its network: what PostgreSQL's `inet` takes. */
export function parseIpAddress(field: string, value: unknown): string {
  const [address = '', prefix, ...rest] = typeof value === 'string' ? value.split('/') : []
  const version = address.includes('%') ? 0 : isIP(address)
  const longestPrefix = version === 4 ? 32 : 128
  const prefixFits =
    prefix === undefined || (/^(?:0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= longestPrefix)
  if (version === 0 || !prefixFits || rest.length > 0) {
    throw new InvalidInputError(field, value, 'an IPv4 or IPv6 address, or a network such as 10.0.0.0/8')
  }
  return String(value)
}

/** A JSON document: a `RawJson`, or a plain value that has a JSON form. */
export function parseJson(field: string, value: unknown): RawJson {
  if (value instanceof RawJson) return value
  try {
    return RawJson.from(value as JsonValue)
  } catch (cause) {
    throw new InvalidInputError(field, value, 'a RawJson or a plain JSON value', { cause })
  }
}

/** An object whose keys are all known. A key that is not is refused with the likely one. */
export function parseObject<const K extends string>(
  field: string,
  value: unknown,
  knownKeys: readonly K[],
): { readonly [key in K]?: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError(field, value, 'an object')
  }
  for (const key of Object.keys(value)) {
    if (!knownKeys.some(known => known === key)) throw unknownOption(field, key, knownKeys)
  }
  return value
}

function unknownOption(field: string, key: string, knownKeys: readonly string[]): TripwireStorageError {
  const nearest = nearestName(key, knownKeys)
  return new InvalidInputError(`${field}.${key}`, key, `one of ${knownKeys.join(', ')}`, {
    code: 'UNKNOWN_OPTION',
    hint: nearest && `did you mean ${nearest}?`,
  })
}
