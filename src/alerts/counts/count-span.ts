import { InvalidInputError } from '../../errors.ts'
import type { SeverityLevel } from '../../model/alert.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import { parseFilterMembers } from '../query/alert-filter.ts'

export const SPAN_MEMBERS = ['from', 'to', 'severity'] as const

/** Which alerts are counted. */
export interface CountSpan {
  readonly from: string
  readonly to: string
  /** `null`: all. */
  readonly severities: readonly SeverityLevel[] | null
}

/** @throws InvalidInputError */
export function parseCountSpan(
  given: { readonly [name in (typeof SPAN_MEMBERS)[number]]?: unknown },
): CountSpan {
  const from = parseTimestamp('query.from', given.from)
  const to = parseTimestamp('query.to', given.to)
  if (to <= from) throw new InvalidInputError('query.to', given.to, `a moment after query.from, ${from}`)
  const { severities } = parseFilterMembers('query', { severity: given.severity })
  return { from, to, severities }
}
