const MOMENT = /^(\d{4,6})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(Z| BC)?$/
const LAST_YEAR = 294_276
const FIRST_YEAR_BC = 4713

/** Whether this is a moment as the server writes it in JSON, in UTC, and will read it again as a `timestamp`: also one that is no RFC 3339. */
export function isServerMoment(value: unknown): value is string {
  if (value === 'infinity' || value === '-infinity') return true
  const match = typeof value === 'string' ? MOMENT.exec(value) : null
  if (!match) return false
  const [, year, month, day] = match.map(Number)
  if (year === undefined || month === undefined || day === undefined) return false
  const isBeforeChrist = match[5] === ' BC'
  if (year < 1 || year > (isBeforeChrist ? FIRST_YEAR_BC : LAST_YEAR)) return false
  return month >= 1 && month <= 12 && day >= 1 && day <= lastDayOf(isBeforeChrist ? 1 - year : year, month)
}

/** The calendar comes again every 400 years; a `Date` does not reach as far as the server does. */
function lastDayOf(year: number, month: number): number {
  const sameYear = 2400 + (year % 400)
  return new Date(Date.UTC(sameYear, month, 0)).getUTCDate()
}
