import { InvalidInputError } from '../errors.ts'

/** A moment as the caller gives it: a `Date`, or RFC 3339 text with an offset. */
export type TimestampInput = Date | string

/** RFC 3339, section 5.6. Seconds may be 60, a leap second, as PostgreSQL takes it. */
const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/

const EXPECTED = 'a Date or RFC 3339 text with an offset, years 0001 to 9999'
const MINUTE_MS = 60_000
const OLDEST_MS = Date.UTC(1, 0, 1) - yearsBefore1900()
const NEWEST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/**
 * Brings a moment into the one form used inside: RFC 3339 in UTC with six digits after the second.
 * Digits beyond microseconds are cut off, not rounded, because PostgreSQL keeps microseconds.
 * @throws InvalidInputError when it is not a moment, has no offset, or lies outside the years 0001 to 9999.
 */
export function parseTimestamp(field: string, value: unknown): string {
  if (value instanceof Date) {
    const ms = value.getTime()
    if (!(ms >= OLDEST_MS && ms <= NEWEST_MS)) throw new InvalidInputError(field, value, EXPECTED)
    return dateText(ms)
  }
  const match = typeof value === 'string' ? RFC_3339.exec(value) : null
  if (!match) throw new InvalidInputError(field, value, EXPECTED)
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '', fraction = ''] = match
  const [sign, offsetHour = '00', offsetMinute = '00'] = match.slice(8)
  const local = new Date(0)
  local.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  const dateExists = local.getUTCMonth() === Number(month) - 1 && local.getUTCDate() === Number(day)
  const timeExists = Number(hour) < 24 && Number(minute) < 60 && Number(second) <= 60
  const offsetExists = Number(offsetHour) < 24 && Number(offsetMinute) < 60
  if (!dateExists || !timeExists || !offsetExists) throw new InvalidInputError(field, value, EXPECTED)
  local.setUTCHours(Number(hour), Number(minute), Number(second))
  const offsetMs = (sign === '-' ? -1 : 1) * (Number(offsetHour) * 60 + Number(offsetMinute)) * MINUTE_MS
  const utcMs = local.getTime() - offsetMs
  if (!(utcMs >= OLDEST_MS && utcMs <= NEWEST_MS)) throw new InvalidInputError(field, value, EXPECTED)
  return `${new Date(utcMs).toISOString().slice(0, 19)}.${fraction.slice(0, 6).padEnd(6, '0')}Z`
}

/** Alerts come in the order of time, so the text of the last second mostly serves again. */
let lastSecond = Number.NaN
let lastSecondText = ''

function dateText(ms: number): string {
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastSecond = second
    lastSecondText = new Date(second * 1000).toISOString().slice(0, 19)
  }
  const millis = ms - second * 1000
  return `${lastSecondText}.${millis < 10 ? '00' : millis < 100 ? '0' : ''}${millis}000Z`
}

/** `Date.UTC` reads the years 0 to 99 as 1900 to 1999; this is the difference for the year 1. */
function yearsBefore1900(): number {
  const firstYear = new Date(0)
  firstYear.setUTCFullYear(1, 0, 1)
  return Date.UTC(1, 0, 1) - firstYear.getTime()
}
