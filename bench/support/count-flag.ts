import { UsageError } from './usage-error.ts'

/** @throws UsageError when the value of a flag is not a whole number from `least`. */
export function parseCount(flag: string, text: string, least: number): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(count) || count < least)
    throw new UsageError(`${flag} needs a whole number from ${least}, not ${text}`)
  return count
}
