const FIRST_OF_MONTH = /^(\d{4})-(0[1-9]|1[0-2])-01T00:00:00\.000000Z$/

/**
 * The name of the partition whose bounds these are: those of one month in UTC, as `parseTimestamp` writes them. `undefined`
 * for any others.
 */
export function partitionOfMonth(from: string, to: string): string | undefined {
  const [, year, month] = FIRST_OF_MONTH.exec(from) ?? []
  if (year === undefined || month === undefined) return undefined
  const next = month === '12' ? [Number(year) + 1, 1] : [Number(year), Number(month) + 1]
  const [nextYear, nextMonth] = [String(next[0]).padStart(4, '0'), String(next[1]).padStart(2, '0')]
  return to === `${nextYear}-${nextMonth}-01T00:00:00.000000Z` ? `alerts_y${year}m${month}` : undefined
}
