import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTimestamp } from '../../src/model/timestamp.ts'

/** Days since 1970-01-01 in the Gregorian calendar, without `Date`. */
function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const isLeap = (year: number) => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
const daysIn = (year: number, month: number) => (DAYS[month - 1] ?? 0) + (month === 2 && isLeap(year) ? 1 : 0)
const pad = (value: number | bigint, length = 2) => String(value).padStart(length, '0')

const local = fc
  .record({
    year: fc.integer({ min: 2, max: 9998 }),
    month: fc.integer({ min: 1, max: 12 }),
    dayIndex: fc.nat(30),
    hour: fc.nat(23),
    minute: fc.nat(59),
    second: fc.nat(59),
    micros: fc.nat(999_999),
    offset: fc.integer({ min: -1439, max: 1439 }),
  })
  .map(parts => ({ ...parts, day: (parts.dayIndex % daysIn(parts.year, parts.month)) + 1 }))

/** Microseconds since 1970, of text in the one form that parseTimestamp returns. */
function microsOf(text: string): bigint {
  const [, ...digits] = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z$/.exec(text) ?? []
  const [year, month, day, hour, minute, second, micros] = digits.map(Number)
  if (year === undefined || month === undefined || day === undefined)
    throw new Error(`not a timestamp: ${text}`)
  const seconds =
    daysFromCivil(year, month, day) * 86_400 + (hour ?? 0) * 3600 + (minute ?? 0) * 60 + (second ?? 0)
  return BigInt(seconds) * 1_000_000n + BigInt(micros ?? 0)
}

describe('parseTimestamp', () => {
  it('keeps any microsecond under any offset', () => {
    fc.assert(
      fc.property(local, ({ year, month, day, hour, minute, second, micros, offset }) => {
        const sign = offset < 0 ? '-' : '+'
        const zone = `${sign}${pad(Math.floor(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)}`
        const time = `${pad(hour)}:${pad(minute)}:${pad(second)}.${pad(micros, 6)}`
        const text = `${pad(year, 4)}-${pad(month)}-${pad(day)}T${time}${zone}`
        const seconds =
          daysFromCivil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset * 60
        expect(microsOf(parseTimestamp('t', text))).toBe(BigInt(seconds) * 1_000_000n + BigInt(micros))
      }),
      { numRuns: 2000 },
    )
  })

  it('is idempotent', () => {
    fc.assert(
      fc.property(
        fc.date({ noInvalidDate: true, min: new Date('0002-01-01T00:00:00Z'), max: new Date('9998-12-31') }),
        date => {
          const text = parseTimestamp('t', date)
          expect(parseTimestamp('t', text)).toBe(text)
          expect(new Date(text).getTime()).toBe(date.getTime())
        },
      ),
    )
  })

  it.each([
    ['2026-03-01T00:00:00Z', '2026-03-01T00:00:00.000000Z'],
    ['2026-03-01t00:00:00z', '2026-03-01T00:00:00.000000Z'],
    ['2026-03-01 00:00:00+00:00', '2026-03-01T00:00:00.000000Z'],
    ['2026-03-01T00:00:00.1Z', '2026-03-01T00:00:00.100000Z'],
    ['2026-03-01T00:00:00.123456789Z', '2026-03-01T00:00:00.123456Z'],
    ['2026-03-01T00:00:00.999999999Z', '2026-03-01T00:00:00.999999Z'],
    ['2024-02-29T23:30:00-01:00', '2024-03-01T00:30:00.000000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
    ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
  ])('reads %s as %s', (given, expected) => {
    expect(parseTimestamp('t', given)).toBe(expected)
  })

  it.each([
    ['a day that does not exist', '2026-02-30T00:00:00Z'],
    ['29 February of a common year', '2025-02-29T00:00:00Z'],
    ['no offset', '2026-03-01T00:00:00'],
    ['the year 0', '0000-01-01T00:00:00Z'],
    ['an offset that leads before the year 1', '0001-01-01T00:00:00+00:01'],
    ['an offset that leads after the year 9999', '9999-12-31T23:59:59-00:01'],
    ['hour 24', '2026-03-01T24:00:00Z'],
    ['minute 60', '2026-03-01T00:60:00Z'],
    ['second 61', '2026-03-01T00:00:61Z'],
    ['month 13', '2026-13-01T00:00:00Z'],
    ['month 0', '2026-00-01T00:00:00Z'],
    ['day 0', '2026-03-00T00:00:00Z'],
    ['an offset of 24 hours', '2026-03-01T00:00:00+24:00'],
    ['a date alone', '2026-03-01'],
    ['a year of five digits', '12026-03-01T00:00:00Z'],
    ['ten digits after the second', '2026-03-01T00:00:00.1234567890Z'],
    ['text around it', ' 2026-03-01T00:00:00Z'],
    ['a line end after it', '2026-03-01T00:00:00Z\n'],
    ['the word infinity', 'infinity'],
    ['empty text', ''],
    ['a number', 1_772_323_200_000],
    ['null', null],
    ['undefined', undefined],
    ['an invalid Date', new Date(Number.NaN)],
    ['a Date before the year 1', new Date(-62_135_596_800_001)],
    ['a Date after the year 9999', new Date(253_402_300_800_000)],
  ])('refuses %s', (_, given) => {
    expect(() => parseTimestamp('query.from', given)).toThrowError(
      expect.objectContaining({ code: 'INVALID_INPUT', field: 'query.from', value: given }),
    )
  })
})
