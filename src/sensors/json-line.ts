import { InvalidInputError } from '../errors.ts'

/** The members of a JSON object. Looked up with `get`, so that no member is taken from a prototype. */
export type JsonMembers = ReadonlyMap<string, unknown>

/**
 * Parses text that must hold one JSON object.
 * @throws InvalidInputError naming `field`.
 */
export function parseJsonObject(field: string, text: string): JsonMembers {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new InvalidInputError(field, text, 'a JSON object', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError(field, value, 'a JSON object')
  }
  return new Map<string, unknown>(Object.entries(value))
}
