/** The SQL of the first alerts of several hosts, or of several rules. */
import type { SqlValue } from '../../pg/database.ts'
import { placeMoment } from './after-key.ts'
import type { AlertKey } from './alert-cursor.ts'
import type { AlertFilter } from './alert-filter.ts'
import type { AlertSpan } from './alert-span.ts'
import { directionOf, orderBy } from './order-by.ts'

/** How many alerts more than an even share are looked for at first, of each host or rule. */
const SPARE_ALERTS = 2

/** The hosts or the rules of a filter, each of which is looked for by itself. */
export interface FilterList {
  readonly column: 'host_id' | 'rule_name'
  readonly type: 'uuid' | 'text'
  readonly wanted: readonly string[]
  /** The filter without them. */
  readonly rest: AlertFilter
}

/**
 * The list that leads; `undefined` when there is one host, or one rule, or none. Beside a rule, hosts are checked in its index,
 * which holds them; beside a host, its rows would have to be read.
 *
 * What is sought by detail stays whole, too: its index is in another order, and the planner, which knows how rare each is, may begin
 * with either.
 */
export function listOfFilter(filter: AlertFilter): FilterList | undefined {
  const { hostIds, ruleNames, detail } = filter
  const isSeveral = (hostIds?.length ?? 0) > 1 || (ruleNames?.length ?? 0) > 1
  if (!isSeveral || detail !== null) return undefined
  if (ruleNames) {
    return { column: 'rule_name', type: 'text', wanted: ruleNames, rest: { ...filter, ruleNames: null } }
  }
  return { column: 'host_id', type: 'uuid', wanted: hostIds ?? [], rest: { ...filter, hostIds: null } }
}

/** The alerts that come first after a place. */
export interface ListPage {
  readonly span: AlertSpan
  readonly after: AlertKey | null
  readonly rows: number
}

const KEY = 'received_at, alert_id, host_id'

/**
 * Three steps, the first two of which read nothing but the index:
 * 1. A few alerts of each. The last one that a page of these alone would have is a bound: so many alerts are known to come
 *    before whatever is behind it. And whoever has none in that page has none in any.
 * 2. All alerts up to the bound, of those who have some.
 * 3. The rows of those that make the page.
 * @param conditions of the rest of the filter, and of what comes after the place.
 */
export function selectFromList(
  { column, type, wanted }: FilterList,
  conditions: readonly string[],
  page: ListPage,
  values: SqlValue[],
): string {
  const { rows } = page
  const { order } = page.span
  const last = order === 'newest' ? 'min' : 'max'
  const { ofOne, ofOneUpTo } = rangesOfOne(column, page, values)
  const inOrderOfIndex = [column, ...KEY.split(', ')].map(name => `${name} ${directionOf(order)}`).join(', ')
  return `
      SELECT alerts.*
      FROM (
        SELECT
          one,
          within.*
        FROM (
          SELECT
            one,
            CASE WHEN sum(count(*)) OVER () = ${rows} THEN ${last}(${last}(received_at)) OVER () END AS bound
          FROM (
            SELECT
              one,
              first.received_at
            FROM unnest($${values.push(wanted)}::${type}[]) AS one
            CROSS JOIN LATERAL (
              SELECT ${KEY}
              FROM alerts
              WHERE ${[...conditions, ...ofOne].join('\n                AND ')}
              ORDER BY ${inOrderOfIndex}
              LIMIT ${Math.ceil(rows / wanted.length) + SPARE_ALERTS}
            ) AS first
            ORDER BY ${orderBy(order, 'first')}
            LIMIT ${rows}
          ) AS first
          GROUP BY one
        ) AS bounded
        CROSS JOIN LATERAL (
          SELECT ${KEY}
          FROM alerts
          WHERE ${[...conditions, ...ofOneUpTo].join('\n            AND ')}
          ORDER BY ${inOrderOfIndex}
          LIMIT ${rows}
        ) AS within
        ORDER BY ${orderBy(order, 'within')}
        LIMIT ${rows}
      ) AS found
      CROSS JOIN LATERAL (
        SELECT *
        FROM alerts
        WHERE ${[...conditions, `${column} = one`].join('\n          AND ')}
          AND (${KEY}) = (found.received_at, found.alert_id, found.host_id)
        LIMIT 1
      ) AS alerts`
}

/**
 * What belongs to one host, or rule, from the place where the page begins to its end, and up to the bound.
 *
 * The planner does not know the value, and takes it for one of average frequency. Where there are few hosts, it would look for one
 * that is silent among the alerts of all, in the order of time. So it is written as a range: then no other index has it in the
 * order that is asked for. Where hosts are asked for as well, a range would look as if all their alerts were sooner read and sorted.
 */
function rangesOfOne(
  column: FilterList['column'],
  { span: { order, received, filter }, after }: ListPage,
  values: SqlValue[],
): { readonly ofOne: readonly string[]; readonly ofOneUpTo: readonly string[] } {
  const from = received.from ?? '-infinity'
  const to = received.to ?? 'infinity'
  const [onwards, upTo, first, last] = order === 'newest' ? ['<=', '>=', to, from] : ['>=', '<=', from, to]
  const end = placeMoment(last, values)
  const bound = `coalesce(bound, ${end})`
  const isUpToBound = `received_at ${upTo} ${bound}`
  if (column === 'rule_name' && filter.hostIds !== null) {
    const isOne = `${column} = one`
    return { ofOne: [isOne], ofOneUpTo: [isOne, isUpToBound] }
  }
  const begin = after
    ? `(${column}, received_at, alert_id) ${onwards} (one, ${placeMoment(after.receivedAt, values)}, $${values.push(after.alertId)}::uuid)`
    : `(${column}, received_at) ${onwards} (one, ${placeMoment(first, values)})`
  const rangeTo = (moment: string) => [begin, `(${column}, received_at) ${upTo} (one, ${moment})`]
  return { ofOne: rangeTo(end), ofOneUpTo: [...rangeTo(bound), isUpToBound] }
}
