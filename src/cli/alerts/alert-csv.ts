/** Alerts as CSV, by RFC 4180: a heading, commas, CRLF, quotes where they are needed, and doubled inside. */
import type { Alert } from '../../model/alert.ts'

type CsvColumn = readonly [heading: string, value: (alert: Alert) => string]

const COLUMNS: readonly CsvColumn[] = [
  ['alertId', alert => alert.alertId],
  ['hostId', alert => alert.hostId],
  ['timestamp', alert => alert.timestamp],
  ['tripwireType', alert => alert.tripwireType],
  ['ruleName', alert => alert.ruleName],
  ['severity', alert => alert.severity],
  ['receivedAt', alert => alert.receivedAt],
  // SQL NULL is an empty field; JSON null is the word.
  ['eventDetail', alert => alert.eventDetail?.text ?? ''],
]

export const CSV_HEADING = `${COLUMNS.map(([heading]) => heading).join(',')}\r\n`

export function csvLine(alert: Alert): string {
  return `${COLUMNS.map(([, value]) => csvField(value(alert))).join(',')}\r\n`
}

const NEEDS_QUOTES = /[",\r\n]/
/** What a spreadsheet takes for the beginning of a formula, also in its full-width forms. */
const FORMULA = /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/

/**
 * Names and details come from watched machines, and spreadsheets run what begins like a formula, quoted or not. An apostrophe before
 * it makes it text. So CSV is for people; NDJSON holds every value as it is.
 */
function csvField(text: string): string {
  const value = FORMULA.test(text) ? `'${text}` : text
  return NEEDS_QUOTES.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}
