import { InvalidInputError } from '../errors.ts'

/** A whole number on the command line. Its range is checked where it is used. */
export function parseNumberArgument(field: string, text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new InvalidInputError(field, text, 'a whole number')
  return Number(text)
}
