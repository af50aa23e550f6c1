/** Months in UTC, as milliseconds since 1970. */

export const DAY_MS = 86_400_000

const YEAR = /^(\d+)-/

/**
 * A moment of the database. Years beyond 9999 are read, too: a slip of the finger makes such partitions. What lies before
 * Christ comes before everything.
 */
export function momentMs(moment: string): number {
  const [, year] = YEAR.exec(moment) ?? []
  const text =
    year !== undefined && year.length > 4 ? `+${year.padStart(6, '0')}${moment.slice(year.length)}` : moment
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? Number.NEGATIVE_INFINITY : ms
}

/** The first moment of the month so many after the one that `ms` falls into. */
export function monthStart(ms: number, monthsLater = 0): number {
  const moment = new Date(ms)
  return Date.UTC(moment.getUTCFullYear(), moment.getUTCMonth() + monthsLater)
}

/** How many months the month of `later` comes after that of `ms`. */
export function monthsBetween(ms: number, later: number): number {
  const [from, to] = [new Date(ms), new Date(later)]
  return (to.getUTCFullYear() - from.getUTCFullYear()) * 12 + to.getUTCMonth() - from.getUTCMonth()
}

/** `2026-02` */
export function monthText(ms: number): string {
  return new Date(ms).toISOString().replace(/-\d\dT.*$/, '')
}

/** RFC 3339; `infinity` where there is no end. */
export function momentText(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return 'infinity'
  return ms === Number.NEGATIVE_INFINITY ? '-infinity' : new Date(ms).toISOString()
}
