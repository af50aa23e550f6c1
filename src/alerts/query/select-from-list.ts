/** The SQL of the first alerts of several hosts, or of several rules. */
import type { SqlValue } from '../../pg/database.ts'
import { placeMoment } from './after-key.ts'
import type { AlertKey } from './alert-cursor.ts'
import type { AlertFilter } from './alert-filter.ts'
import type { AlertSpan } from './alert-span.ts'
import { KEY_COLUMNS, orderBy } from './order-by.ts'

/** How many alerts more than an even share are looked for at first, of each host or rule. */
const SPARE_ALERTS = 2

const TYPES = { host_id: 'uuid', rule_name: 'text' } as const

/** The hosts or the rules of a filter, each of which is looked for by itself. */
export interface FilterList {
  readonly column: keyof typeof TYPES
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
    return { column: 'rule_name', wanted: ruleNames, rest: { ...filter, ruleNames: null } }
  }
  return { column: 'host_id', wanted: hostIds ?? [], rest: { ...filter, hostIds: null } }
}

/** The alerts that come first after a place. */
export interface ListPage {
  readonly span: AlertSpan
  readonly after: AlertKey | null
  readonly rows: number
}

const KEY = KEY_COLUMNS.join(', ')

/**
 * Three steps, the first two of which read nothing but the index:
 * 1. A few alerts of each. The last one that a page of these alone would have is a bound: so many alerts are known to come
 *    before whatever is behind it. And whoever has none in that page has none in any.
 * 2. All alerts up to the bound, of those who have some.
 * 3. The rows of those that make the page. In a month without its unique index, several rows may have one key.
 * @param conditions of the rest of the filter, and of what comes after the place.
 */
export function selectFromList(
  list: FilterList,
  conditions: readonly string[],
  page: ListPage,
  values: SqlValue[],
): string {
  const { rows, span } = page
  const { order } = span
  const last = order === 'newest' ? 'min' : 'max'
  const { ofOne, ofOneUpTo } = rangesOfOne(list.column, page, values)
  const inOrderOfIndex = orderBy(order, 'alerts', [list.column, ...KEY_COLUMNS])
  return `
      SELECT alerts.*
      FROM (
        SELECT DISTINCT
          bounded.wanted,
          candidate.*
        FROM (
          SELECT
            head.wanted,
            CASE WHEN sum(count(*)) OVER () = ${rows} THEN ${last}(${last}(head.received_at)) OVER () END AS bound
          FROM (
            SELECT
              list.wanted,
              head.received_at
            FROM unnest($${values.push(list.wanted)}::${TYPES[list.column]}[]) AS list (wanted)
            CROSS JOIN LATERAL (
              SELECT ${KEY}
              FROM alerts
              WHERE ${[...conditions, ...ofOne('list')].join('\n                AND ')}
              ORDER BY ${inOrderOfIndex}
              LIMIT ${Math.ceil(rows / list.wanted.length) + SPARE_ALERTS}
            ) AS head
            ORDER BY ${orderBy(order, 'head')}
            LIMIT ${rows}
          ) AS head
          GROUP BY head.wanted
        ) AS bounded
        CROSS JOIN LATERAL (
          SELECT ${KEY}
          FROM alerts
          WHERE ${[...conditions, ...ofOneUpTo('bounded')].join('\n            AND ')}
          ORDER BY ${inOrderOfIndex}
          LIMIT ${rows}
        ) AS candidate
        ORDER BY ${orderBy(order, 'candidate')}
        LIMIT ${rows}
      ) AS found
      CROSS JOIN LATERAL (
        SELECT *
        FROM alerts
        WHERE ${[...conditions, `${list.column} = found.wanted`].join('\n          AND ')}
          AND (${KEY}) = (${KEY_COLUMNS.map(column => `found.${column}`).join(', ')})
      ) AS alerts`
}

/** The conditions of what belongs to one of the list, which is in the column `wanted` of a table. */
type OfOne = (table: string) => readonly string[]

/**
 * What belongs to one host, or rule, from the place where the page begins to its end, and up to the bound.
 *
 * The planner does not know the value, and takes it for one of average frequency. Where there are few hosts, it would look for one
 * that is silent among the alerts of all, in the order of time. The range says nothing that the value does not say, but makes it rarer
 * in the eyes of the planner. Where hosts are asked for as well, it would seem too rare: all their alerts would be read and sorted.
 */
function rangesOfOne(
  column: FilterList['column'],
  { span: { order, received, filter }, after }: ListPage,
  values: SqlValue[],
): { readonly ofOne: OfOne; readonly ofOneUpTo: OfOne } {
  const from = received.from ?? '-infinity'
  const to = received.to ?? 'infinity'
  const [onwards, upTo, first, last] = order === 'newest' ? ['<=', '>=', to, from] : ['>=', '<=', from, to]
  const end = placeMoment(last, values)
  const isOne = (table: string) => `${column} = ${table}.wanted`
  const bound = (table: string) => `coalesce(${table}.bound, ${end})`
  if (column === 'rule_name' && filter.hostIds !== null) {
    return {
      ofOne: table => [isOne(table)],
      ofOneUpTo: table => [isOne(table), `received_at ${upTo} ${bound(table)}`],
    }
  }
  const beginning = after
    ? [placeMoment(after.receivedAt, values), `$${values.push(after.alertId)}::uuid`]
    : [placeMoment(first, values)]
  const key = [column, ...KEY_COLUMNS].slice(0, 1 + beginning.length).join(', ')
  const range = (table: string, moment: string) => [
    isOne(table),
    `(${key}) ${onwards} (${[`${table}.wanted`, ...beginning].join(', ')})`,
    `(${column}, received_at) ${upTo} (${table}.wanted, ${moment})`,
  ]
  return {
    ofOne: table => range(table, end),
    ofOneUpTo: table => [...range(table, bound(table)), `received_at ${upTo} ${bound(table)}`],
  }
}
