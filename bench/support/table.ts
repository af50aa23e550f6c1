export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string
  /** Numbers are easier to compare when they end in one line. Defaults to right. */
  readonly align?: 'left' | 'right'
}

/** A table as text, in columns as wide as their widest cell. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const lines = [
    columns.map(column => column.title),
    ...rows.map(row => columns.map(column => column.value(row))),
  ]
  const widths = columns.map((_, index) => Math.max(...lines.map(line => line[index]?.length ?? 0)))
  const formatCell = (cell: string, index: number) => {
    const width = widths[index] ?? 0
    return columns[index]?.align === 'left' ? cell.padEnd(width) : cell.padStart(width)
  }
  return lines.map(line => line.map(formatCell).join('  ').trimEnd()).join('\n')
}

/** 1234567.8 as 1,234,568. */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `NaN`, which a measurement that was left out gives, as a dash. */
export function fixed(value: number, digits: number, unit = ''): string {
  return Number.isFinite(value) ? `${value.toFixed(digits)}${unit}` : '-'
}
