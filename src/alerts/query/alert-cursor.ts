/**
 * The place after an alert in the order of a query, as text that a caller keeps.
 *
 * It needs no secret: what a forged one can name is another place in the same query, which its maker may ask for anyway.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../../audit/canonical-json.ts'
import { InvalidInputError } from '../../errors.ts'
import type { Alert } from '../../model/alert.ts'
import type { AlertSpan } from './alert-span.ts'
import { readToken, writeToken } from './opaque-token.ts'

const KIND = 'alert-cursor 1'
const LONGEST_CURSOR = 1000

/** What orders alerts, each of which has another. */
export type AlertKey = Pick<Alert, 'receivedAt' | 'alertId' | 'hostId'>

/** The cursor after an alert that the query returned. */
export function cursorAfter(span: AlertSpan, { receivedAt, alertId, hostId }: AlertKey): string {
  return writeToken(KIND, [digestOf(span), receivedAt, alertId, hostId])
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const DAY_AND_TIME = '(?:0[1-9]|1[0-2])-(?:0[1-9]|1\\d|2\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d'
/** As the server gives them: a partition without bounds may hold moments that are no RFC 3339. */
const MOMENT = new RegExp(
  `^(?:-?infinity|\\d{4,6}-${DAY_AND_TIME}\\.\\d{6}Z|\\d{4}-${DAY_AND_TIME}(?:\\.\\d{1,6})? BC)$`,
)

/**
 * The alert after which the query is to go on.
 * @throws InvalidInputError when it is no cursor, was altered, or belongs to another filter, span or order.
 */
export function parseCursor(span: AlertSpan, cursor: unknown): AlertKey {
  const isShort = typeof cursor === 'string' && cursor.length <= LONGEST_CURSOR
  const fields = isShort ? readToken(KIND, cursor) : undefined
  const [digest, receivedAt = '', alertId = '', hostId = ''] = fields ?? []
  if (!isMoment(receivedAt) || !UUID.test(alertId) || !UUID.test(hostId)) {
    throw new InvalidInputError('query.cursor', cursor, 'a cursor as an earlier page returned it')
  }
  if (digest !== digestOf(span)) {
    throw new InvalidInputError(
      'query.cursor',
      cursor,
      'the cursor of a query with the same filter, the same span of time and the same order',
      {
        hint: 'a span that moves with the clock is another one each time: keep the moments of the first page',
      },
    )
  }
  return { receivedAt, alertId, hostId }
}

function isMoment(text: string): boolean {
  if (!MOMENT.test(text)) return false
  // February has no 30th. Where JavaScript knows the year, it knows that, too.
  const date = new Date(text.endsWith('Z') ? text : Number.NaN)
  return Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) === text.slice(0, 10)
}

/** The same for spans that ask for the same, in whatever way they say it. */
function digestOf({ filter, received, sensed, order }: AlertSpan): string {
  const { hostIds, severities, tripwireTypes, ruleNames, detail } = filter
  const canonical = JSON.stringify([
    [hostIds, severities, tripwireTypes, ruleNames, detail === null ? null : canonicalJson(detail)],
    [received.from, received.to, sensed.from, sensed.to],
    order,
  ])
  return createHash('sha256').update(canonical).digest('base64url').slice(0, 22)
}
