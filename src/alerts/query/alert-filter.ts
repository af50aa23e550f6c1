/** Which alerts are meant, by what they hold: for pages, streams and the live tail alike. */

import { canonicalJson } from '../../audit/canonical-json.ts'
import { InvalidInputError } from '../../errors.ts'
import { SEVERITY_LEVELS, type SeverityLevel, TRIPWIRE_TYPES, type TripwireType } from '../../model/alert.ts'
import { parseJson, parseObject, parseOneOf, parseOptional, parseText, parseUuid } from '../../model/input.ts'
import type { SqlValue } from '../../pg/database.ts'

const MOST_VALUES = 1000
const LONGEST_RULE_NAME = 1000
const LONGEST_DETAIL = 65_536

/** Each list is sorted, without repetitions, and not empty. `null`: any value will do. */
export interface AlertFilter {
  readonly hostIds: readonly string[] | null
  /** In rising order. */
  readonly severities: readonly SeverityLevel[] | null
  readonly tripwireTypes: readonly TripwireType[] | null
  readonly ruleNames: readonly string[] | null
  /** A JSON document which the detail has to contain. */
  readonly detail: string | null
}

export const FILTER_MEMBERS = ['hostId', 'severity', 'tripwireType', 'ruleName', 'detail'] as const
type FilterMembers = { readonly [name in (typeof FILTER_MEMBERS)[number]]?: unknown }

/**
 * @param name what the caller calls it, for the field of an error: `filter`.
 * @throws InvalidInputError
 */
export function parseAlertFilter(name: string, given: unknown): AlertFilter {
  return parseFilterMembers(name, parseObject(name, given, FILTER_MEMBERS))
}

/** The same of an object that has other members, too, which were looked at already. */
export function parseFilterMembers(name: string, given: FilterMembers): AlertFilter {
  return {
    hostIds: parseList(`${name}.hostId`, given.hostId, parseUuid),
    severities: parseSet(`${name}.severity`, given.severity, SEVERITY_LEVELS),
    tripwireTypes: parseSet(`${name}.tripwireType`, given.tripwireType, TRIPWIRE_TYPES),
    ruleNames: parseList(`${name}.ruleName`, given.ruleName, (field, value) =>
      parseText(field, value, LONGEST_RULE_NAME),
    ),
    detail: parseOptional(given.detail, detail => parseDetail(`${name}.detail`, detail)),
  }
}

/** The same text for filters that let the same pass, in whatever way they were written: what a token is bound to. */
export function canonicalFilter({
  hostIds,
  severities,
  tripwireTypes,
  ruleNames,
  detail,
}: AlertFilter): string {
  return JSON.stringify([
    hostIds,
    severities,
    tripwireTypes,
    ruleNames,
    detail === null ? null : canonicalJson(detail),
  ])
}

/** The conditions in SQL on `alerts`, without those that let everything pass. Parameters are added to `values`. */
export function filterConditions(filter: AlertFilter, values: SqlValue[]): string[] {
  const conditions: string[] = []
  const { hostIds, severities, tripwireTypes, ruleNames, detail } = filter
  if (hostIds !== null) conditions.push(isOneOf('host_id', hostIds, 'uuid', values))
  // Literals, of closed lists, let the planner use the partial index of a rare severity in every kind of plan.
  if (severities !== null) conditions.push(isOneOfNames('severity', severities, SEVERITY_LEVELS))
  if (tripwireTypes !== null) conditions.push(isOneOfNames('tripwire_type', tripwireTypes, TRIPWIRE_TYPES))
  if (ruleNames !== null) conditions.push(isOneOf('rule_name', ruleNames, 'text', values))
  if (detail !== null) conditions.push(`event_detail @> $${values.push(detail)}::jsonb`)
  return conditions
}

function isOneOf(column: string, wanted: readonly string[], type: string, values: SqlValue[]): string {
  const [only] = wanted
  return wanted.length === 1 && only !== undefined
    ? `${column} = $${values.push(only)}`
    : `${column} = ANY ($${values.push(wanted)}::${type}[])`
}

/**
 * Of a closed list in the order of its enum. A part at one end is written as a comparison, which an index with this column further
 * behind decides in order; of a list, PostgreSQL 15 and 16 would have to look at the rows.
 */
function isOneOfNames<T extends string>(column: string, wanted: readonly T[], names: readonly T[]): string {
  const literals = wanted.map(name => `'${name}'`)
  const [first] = literals
  if (wanted.length === 1) return `${column} = ${first}`
  if (isSame(names.slice(0, wanted.length), wanted)) return `${column} <= ${literals.at(-1)}`
  if (isSame(names.slice(-wanted.length), wanted)) return `${column} >= ${first}`
  return `${column} IN (${literals.join(', ')})`
}

function isSame<T extends string>(one: readonly T[], other: readonly T[]): boolean {
  return one.every((name, index) => name === other[index])
}

type ParseOne = (field: string, value: unknown) => string

function parseList(field: string, given: unknown, parse: ParseOne): readonly string[] | null {
  if (given === undefined || given === null) return null
  if (!Array.isArray(given)) return [parse(field, given)]
  if (given.length === 0 || given.length > MOST_VALUES) {
    throw new InvalidInputError(field, given, `a value, or a list of 1 to ${MOST_VALUES}`)
  }
  return [...new Set(given.map((value, index) => parse(`${field}[${index}]`, value)))].sort()
}

/** In the order of the closed list. A set of everything restricts nothing. */
function parseSet<const T extends string>(
  field: string,
  given: unknown,
  names: readonly T[],
): readonly T[] | null {
  const wanted = parseList(field, given, (at, value) => parseOneOf(at, value, names))
  if (wanted === null || wanted.length === names.length) return null
  return names.filter(name => wanted.includes(name))
}

/** An escaped NUL, which `jsonb` cannot hold: the escape itself must not be escaped. */
const ESCAPED_NUL = /(?<!\\)(?:\\\\)*\\u0000/

function parseDetail(field: string, given: unknown): string {
  const { text } = parseJson(field, given)
  if (text.length > LONGEST_DETAIL) {
    throw new InvalidInputError(field, given, `a JSON document of at most ${LONGEST_DETAIL} characters`)
  }
  if (ESCAPED_NUL.test(text) || !text.isWellFormed()) {
    throw new InvalidInputError(field, given, 'JSON without NUL and lone surrogates')
  }
  return text
}
