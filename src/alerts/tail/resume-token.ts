import { InvalidInputError } from '../../errors.ts'
import { type AlertFilter, canonicalFilter } from '../query/alert-filter.ts'
import { readToken, writeToken } from '../query/opaque-token.ts'
import { isServerMoment } from '../server-moment.ts'
import type { AlertPlace, TailPosition } from './tail-position.ts'

/**
 * A position as text, for a consumer to keep: bound to the database and to the filter, with a check against changes. It needs no
 * secret: one that was forged names another position of the same tail, and nothing that its holder may not read.
 */

const KIND = 'alert tail 1'
/** Room for as many open transactions as a server can have, 2^18, each with a number of 20 digits. */
const LONGEST_TOKEN = 2 ** 24
const LAST_XID = 2n ** 64n - 1n
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const EXPECTED = 'a resumeToken of a tail with the same filter'

interface TokenContent {
  readonly identity: string
  readonly position: TailPosition
}

export function encodeResumeToken({ identity, position }: TokenContent, filter: AlertFilter): string {
  const { newest, open, partial, since } = position
  const content = JSON.stringify([
    [String(newest.xid), newest.writtenAt],
    open.map(String),
    partial && [String(partial.xid), partial.after.receivedAt, partial.after.alertId, partial.after.hostId],
    since,
  ])
  return writeToken(kindOf(filter), [identity, content])
}

/** @throws InvalidInputError */
export function decodeResumeToken(field: string, token: unknown, filter: AlertFilter): TokenContent {
  const refused = () => new InvalidInputError(field, token, EXPECTED)
  if (typeof token !== 'string' || token.length > LONGEST_TOKEN) throw refused()
  const [identity, content] = readToken(kindOf(filter), token) ?? []
  if (identity === undefined || content === undefined) throw refused()
  const position = parsePosition(content)
  if (!position) throw refused()
  return { identity, position }
}

/** With the filter, so that a token of another one does not pass. */
function kindOf(filter: AlertFilter): string {
  return `${KIND} ${canonicalFilter(filter)}`
}

function parsePosition(text: string): TailPosition | undefined {
  const content = parseList(parseJsonText(text), 4)
  if (!content) return undefined
  const [newestPair, openList, partialList, since] = content
  const newest = parseList(newestPair, 2)
  const newestXid = parseXid(newest?.[0])
  const writtenAt = newest?.[1]
  const open = Array.isArray(openList) ? openList.map(parseXid) : undefined
  const partial = partialList === null ? null : parsePartial(partialList)
  if (newestXid === undefined) return undefined
  if (!isMomentOrNull(writtenAt) || !open || partial === undefined || !isMomentOrNull(since)) return undefined
  const known = open.filter(xid => xid !== undefined)
  if (known.length < open.length) return undefined
  return { newest: { xid: newestXid, writtenAt }, open: known, partial, since }
}

function parsePartial(value: unknown): TailPosition['partial'] | undefined {
  const [number, receivedAt, alertId, hostId] = parseList(value, 4) ?? []
  const xid = parseXid(number)
  if (xid === undefined || !isServerMoment(receivedAt) || !isUuid(alertId) || !isUuid(hostId))
    return undefined
  const after: AlertPlace = { receivedAt, alertId, hostId }
  return { xid, after }
}

function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function parseList(value: unknown, length: number): readonly unknown[] | undefined {
  return Array.isArray(value) && value.length === length ? value : undefined
}

function parseXid(value: unknown): bigint | undefined {
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value)) return undefined
  const xid = BigInt(value)
  return xid <= LAST_XID ? xid : undefined
}

function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value)
}

function isMomentOrNull(value: unknown): value is string | null {
  return value === null || isServerMoment(value)
}
