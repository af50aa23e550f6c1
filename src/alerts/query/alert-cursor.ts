/**
 * The place after an alert in the order of a query, as text that a caller keeps.
 *
 * It needs no secret: what a forged one can name is another place in the same query, which its maker may ask for anyway.
 */
import { createHash } from 'node:crypto'
import { InvalidInputError } from '../../errors.ts'
import type { Alert } from '../../model/alert.ts'
import { isServerMoment } from '../server-moment.ts'
import { canonicalFilter } from './alert-filter.ts'
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
/** A moment without its zone would be read in that of the session. */
const HAS_ZONE = /(?:Z| BC|infinity)$/

/**
 * The alert after which the query is to go on.
 * @throws InvalidInputError when it is no cursor, was altered, or belongs to another filter, span or order.
 */
export function parseCursor(span: AlertSpan, cursor: unknown): AlertKey {
  const isShort = typeof cursor === 'string' && cursor.length <= LONGEST_CURSOR
  const fields = isShort ? readToken(KIND, cursor) : undefined
  const [digest, receivedAt = '', alertId = '', hostId = ''] = fields ?? []
  if (
    !isServerMoment(receivedAt) ||
    !HAS_ZONE.test(receivedAt) ||
    !UUID.test(alertId) ||
    !UUID.test(hostId)
  ) {
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

/** The same for spans that ask for the same, in whatever way they say it. */
function digestOf({ filter, received, sensed, order }: AlertSpan): string {
  const canonical = JSON.stringify([
    canonicalFilter(filter),
    [received.from, received.to, sensed.from, sensed.to],
    order,
  ])
  return createHash('sha256').update(canonical).digest('base64url').slice(0, 22)
}
