import type { AlertFilter } from './alert-filter.ts'

/**
 * Filters with one severity, or one type, each, that together let the same alerts pass, each alert once: an index is read in the
 * order of the page for one value, not for several. Beside a host or a rule a type is left as it is: it is checked in their indexes.
 * So is everything beside a detail, whose index is in no order.
 */
export function splitFilter(filter: AlertFilter): readonly AlertFilter[] {
  if (filter.detail !== null) return [filter]
  const parts = splitList(filter, 'severities')
  const isWithinOthers = filter.hostIds !== null || filter.ruleNames !== null
  return isWithinOthers ? parts : parts.flatMap(part => splitList(part, 'tripwireTypes'))
}

function splitList(filter: AlertFilter, name: 'severities' | 'tripwireTypes'): readonly AlertFilter[] {
  const wanted = filter[name]
  return wanted === null ? [filter] : wanted.map(value => ({ ...filter, [name]: [value] }))
}
