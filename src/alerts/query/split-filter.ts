import type { AlertFilter } from './alert-filter.ts'

/** Into how many parts a filter is split, at the most: each costs the planner time, for each month. */
const MOST_PARTS = 32

/** By how much there is to gain. Types are left: every index has them, and they are seldom rare. */
const LISTS = ['hostIds', 'ruleNames', 'severities'] as const
type ListName = (typeof LISTS)[number]

/**
 * Filters with one value of each kind that together let the same alerts pass, each alert once. For one value an index can be
 * read in the order of the page; for several, only a part of it at a time. What would make too many parts stays a list.
 */
export function splitFilter(filter: AlertFilter): readonly AlertFilter[] {
  let parts: readonly AlertFilter[] = [filter]
  for (const name of LISTS) {
    const wanted = filter[name]
    if (wanted === null || parts.length * wanted.length > MOST_PARTS) continue
    parts = parts.flatMap(part => splitList(part, name))
  }
  return parts
}

function splitList(filter: AlertFilter, name: ListName): readonly AlertFilter[] {
  return (filter[name] ?? []).map(value => ({ ...filter, [name]: [value] }))
}
