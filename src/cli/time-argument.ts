import { InvalidInputError } from '../errors.ts'
import { parseTimestamp } from '../model/timestamp.ts'

const AGO = /^-(\d{1,6})(s|m|h|d|w)$/
const DATE = /^\d{4}-\d\d-\d\d$/
const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

export const TIME_HELP = 'now, -24h (s, m, h, d, w), 2026-02-01, or RFC 3339'

/** A moment on the command line: `now`, `-24h`, a date (its first moment in UTC), or RFC 3339. */
export function parseTimeArgument(field: string, text: string, now: Date = new Date()): string {
  if (text === 'now') return parseTimestamp(field, now)
  const [, amount, unit] = AGO.exec(text) ?? []
  if (
    amount !== undefined &&
    (unit === 's' || unit === 'm' || unit === 'h' || unit === 'd' || unit === 'w')
  ) {
    return parseTimestamp(field, new Date(now.getTime() - Number(amount) * UNIT_MS[unit]))
  }
  try {
    return parseTimestamp(field, DATE.test(text) ? `${text}T00:00:00Z` : text)
  } catch (cause) {
    throw new InvalidInputError(field, text, `a moment: ${TIME_HELP}`, { cause })
  }
}
