import { InvalidInputError } from '../errors.ts'

const UNITS: readonly string[] = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
const STEP = 1024
const BYTES = new RegExp(`^(\\d{1,15})(${UNITS.join('|')})?$`)

export const BYTES_HELP = 'bytes, or 500MiB, 20GiB, 2TiB'

/** A number of bytes on the command line: `1048576`, `20GiB`. Its range is checked where it is used. */
export function parseBytesArgument(field: string, text: string): number {
  const [, digits, unit = 'B'] = BYTES.exec(text) ?? []
  if (digits === undefined) throw new InvalidInputError(field, text, `a number of bytes: ${BYTES_HELP}`)
  return Number(digits) * STEP ** UNITS.indexOf(unit)
}

/** 1536 as `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const exponent = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1)
  const value = bytes / STEP ** exponent
  return `${exponent === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[exponent]}`
}
