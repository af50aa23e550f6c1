import { randomUUID } from 'node:crypto'
import { InvalidInputError } from '../../errors.ts'
import type { TransactionClient } from '../../model/audit-entry.ts'
import { parseJson, parseObject, parseUuid } from '../../model/input.ts'
import type { Append } from './append-to-chains.ts'

/** How many entries one call may append. */
export const MOST_ENTRIES = 10_000
/** How many bytes the payloads of one call may have, 16 MiB. */
export const MOST_BYTES = 16_777_216
/** What an entry takes in memory beside its payload: its ids and hashes. */
const FIXED_BYTES = 512

export interface AppendRequest {
  readonly append: Append
  readonly client: TransactionClient | undefined
  /** What the entries take in memory at the most. */
  readonly bytes: number
}

/**
 * Checks what a caller wants to append.
 * @throws InvalidInputError, which names the payload or the id.
 */
export function parseAppend(hostId: unknown, payloads: unknown, options: unknown): AppendRequest {
  const given = parseObject('options', options, ['client', 'entryIds'])
  if (!Array.isArray(payloads)) throw new InvalidInputError('payloads', payloads, 'a list of JSON values')
  if (payloads.length > MOST_ENTRIES) {
    throw new InvalidInputError(
      `payloads[${MOST_ENTRIES}]`,
      payloads[MOST_ENTRIES],
      `${MOST_ENTRIES} payloads at the most`,
    )
  }
  let bytes = 0
  const texts = Array.from(payloads, (payload: unknown, index) => {
    const field = `payloads[${index}]`
    if (payload === undefined) throw new InvalidInputError(field, payload, 'a RawJson or a plain JSON value')
    const { text } = parseJson(field, payload)
    bytes += Buffer.byteLength(text)
    if (bytes > MOST_BYTES) {
      throw new InvalidInputError(field, payload, `payloads of ${MOST_BYTES} bytes at the most in one call`)
    }
    return text
  })
  const entryIds =
    given.entryIds === undefined ? texts.map(() => randomUUID()) : parseEntryIds(given.entryIds)
  if (entryIds.length !== texts.length) {
    throw new InvalidInputError(
      'options.entryIds',
      given.entryIds,
      `${texts.length} ids, one for each payload`,
    )
  }
  return {
    append: {
      hostId: parseUuid('hostId', hostId),
      entryIds,
      payloads: texts,
      mayBeStored: given.entryIds !== undefined,
    },
    client: given.client === undefined ? undefined : parseClient(given.client),
    // A string takes two bytes a character at the most, and the server's form of it comes back.
    bytes: 4 * bytes + FIXED_BYTES * texts.length,
  }
}

function parseEntryIds(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new InvalidInputError('options.entryIds', value, 'a list of UUIDs')
  const seen = new Set<string>()
  return Array.from(value, (each: unknown, index) => {
    const entryId = parseUuid(`options.entryIds[${index}]`, each)
    if (seen.has(entryId)) throw new InvalidInputError(`options.entryIds[${index}]`, each, 'each id once')
    seen.add(entryId)
    return entryId
  })
}

function parseClient(value: unknown): TransactionClient {
  if (isClient(value)) return value
  throw new InvalidInputError('options.client', value, 'a client with a method query(text, values)')
}

function isClient(value: unknown): value is TransactionClient {
  return typeof value === 'object' && value !== null && 'query' in value && typeof value.query === 'function'
}
