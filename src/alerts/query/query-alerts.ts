import { InvalidInputError } from '../../errors.ts'
import type { AlertPage } from '../../model/alert.ts'
import { parseInteger, parseObject, parseOptional } from '../../model/input.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { type AlertRow, alertFromRow } from '../alert-row.ts'
import { cursorAfter, parseCursor } from './alert-cursor.ts'
import { parseAlertSpan, SPAN_MEMBERS } from './alert-span.ts'
import { type PageRequest, type PageStatement, planPage } from './plan-page.ts'

/** How many alerts a page holds when the query does not say. */
export const DEFAULT_PAGE_SIZE = 100
export const LARGEST_PAGE_SIZE = 10_000
const LARGEST_OFFSET = Number.MAX_SAFE_INTEGER - LARGEST_PAGE_SIZE - 1

/**
 * Reads a page of alerts. Only the partitions of months that can hold some of them are touched, and of these no more than the page needs.
 * @throws InvalidInputError
 */
export async function queryAlerts(db: QueryRunner, query: unknown): Promise<AlertPage> {
  return readPage(db, parsePageRequest(query))
}

/** The statement of a query and its parameters. */
export function planAlertQuery(query: unknown): PageStatement {
  return planPage(withOneMore(parsePageRequest(query)))
}

/** @param request with as many rows as the page is to hold. */
export async function readPage(db: QueryRunner, request: PageRequest): Promise<AlertPage> {
  const { sql, values } = planPage(withOneMore(request))
  const { rows } = await db.query<AlertRow>(sql, values)
  const alerts = rows.slice(0, request.rows).map(alertFromRow)
  const last = alerts.at(-1)
  const isMore = rows.length > alerts.length && last !== undefined
  return { alerts, nextCursor: isMore ? cursorAfter(request.span, last) : null }
}

/** The row behind the page tells whether there is a next one. */
function withOneMore(request: PageRequest): PageRequest {
  return { ...request, rows: request.rows + 1 }
}

function parsePageRequest(query: unknown): PageRequest {
  const given = parseObject('query', query, [...SPAN_MEMBERS, 'limit', 'offset'])
  const span = parseAlertSpan(given)
  const after = parseOptional(given.cursor, cursor => parseCursor(span, cursor))
  const offset = parseInteger('query.offset', given.offset ?? 0, 0, LARGEST_OFFSET)
  if (after !== null && offset > 0) {
    throw new InvalidInputError('query.offset', given.offset, 'no offset where there is a cursor')
  }
  const rows = parseInteger('query.limit', given.limit ?? DEFAULT_PAGE_SIZE, 1, LARGEST_PAGE_SIZE)
  return { span, after, rows, offset }
}
