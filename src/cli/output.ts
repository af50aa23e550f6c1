import { RawJson } from '../model/raw-json.ts'
import type { TextOutput } from './command-context.ts'

/** A cell: what `JSON.stringify` takes, or a JSON document whose digits must survive. */
export type Cell = string | number | boolean | null | undefined | RawJson | readonly unknown[] | object

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string | number | boolean | null | undefined
}

/** One JSON object a line. A `RawJson` is written as it is; what is `undefined` is left out. */
export function writeJsonLines(output: TextOutput, rows: readonly object[]): void {
  for (const row of rows) output.write(`${jsonLine(row)}\n`)
}

export function jsonLine(row: object): string {
  const members = Object.entries(row)
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value]) =>
        `${JSON.stringify(name)}:${value instanceof RawJson ? value.text : JSON.stringify(value)}`,
    )
  return `{${members.join(',')}}`
}

/** A table with a heading, in columns as wide as their widest cell. */
export function writeTable<Row>(
  output: TextOutput,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
): void {
  const cells = rows.map(row => columns.map(column => printable(String(column.value(row) ?? '-'))))
  const lines = [columns.map(column => column.title), ...cells]
  const widths = columns.map((_, index) => Math.max(...lines.map(line => line[index]?.length ?? 0)))
  for (const line of lines) {
    output.write(
      `${line
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    )
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** Names and details come from watched machines: whoever writes them must not be able to steer the terminal. */
export function printable(text: string): string {
  return text.replace(
    CONTROL_CHARACTERS,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** 1234567 as 1,234,567. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US')
}
