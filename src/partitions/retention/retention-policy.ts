import { parseActor } from '../../audit/record-action.ts'
import { InvalidInputError } from '../../errors.ts'
import { parseBoolean, parseInteger, parseObject, parseText } from '../../model/input.ts'
import type { RetentionOptions } from '../../model/partition.ts'

const MOST_MONTHS = 1200
const LONGEST_PATH = 4096
export const DEFAULT_INCLUDE_RESTORED = false

export interface RetentionPolicy {
  readonly keepMonths: number | undefined
  readonly keepBytes: number | undefined
  readonly archiveDir: string | undefined
  readonly includeRestored: boolean
  readonly actor?: string | undefined
}

const NAMES = [
  'keepMonths',
  'keepBytes',
  'archiveDir',
  'includeRestored',
  'actor',
] as const satisfies readonly (keyof RetentionOptions)[]

/**
 * Checks the options of a retention.
 * @throws InvalidInputError, also when no rule is given: that would keep everything, and somebody expects otherwise.
 */
export function parseRetention(field: string, options: unknown): RetentionPolicy {
  const given = parseObject(field, options, NAMES)
  const optional = <T>(name: (typeof NAMES)[number], parse: (path: string, value: unknown) => T) =>
    given[name] === undefined ? undefined : parse(`${field}.${name}`, given[name])
  const policy = {
    keepMonths: optional('keepMonths', (path, value) => parseInteger(path, value, 0, MOST_MONTHS)),
    keepBytes: optional('keepBytes', (path, value) => parseInteger(path, value, 0, Number.MAX_SAFE_INTEGER)),
    archiveDir: optional('archiveDir', (path, value) => parseText(path, value, LONGEST_PATH)),
    includeRestored: optional('includeRestored', parseBoolean) ?? DEFAULT_INCLUDE_RESTORED,
    actor: optional('actor', parseActor),
  }
  if (policy.keepMonths === undefined && policy.keepBytes === undefined) {
    throw new InvalidInputError(`${field}.keepMonths`, undefined, 'keepMonths, keepBytes or both')
  }
  return policy
}
