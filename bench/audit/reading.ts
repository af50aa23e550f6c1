/** How the log is read: verified, or by the statement of the verifier, or by its columns, with the rows thrown away. */
export const READINGS = ['verify', 'lines', 'columns'] as const
export type Reading = (typeof READINGS)[number]

/** What a process found that read the whole log. */
export interface ReadingResult {
  readonly entries: number
  readonly seconds: number
  readonly cpuMicros: number
  /** Resident memory, before the first entry. */
  readonly bytesBefore: number
  /** The highest of each tenth of the entries. */
  readonly bytesOfSteps: readonly number[]
}

/** @throws when it is not what `read-log.ts` prints. */
export function parseReadingResult(text: string): ReadingResult {
  const value: unknown = JSON.parse(text)
  if (isReadingResult(value)) return value
  throw new Error(`not what a reading prints: ${text}`)
}

function isReadingResult(value: unknown): value is ReadingResult {
  if (typeof value !== 'object' || value === null) return false
  const numbers = ['entries', 'seconds', 'cpuMicros', 'bytesBefore']
  return (
    numbers.every(name => typeof Reflect.get(value, name) === 'number') &&
    'bytesOfSteps' in value &&
    Array.isArray(value.bytesOfSteps) &&
    value.bytesOfSteps.every(bytes => typeof bytes === 'number')
  )
}
