import { InvalidInputError } from '../../errors.ts'
import { parseCallOptions } from '../../model/call-options.ts'
import { parseInteger, parseObject } from '../../model/input.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import { type AlertFilter, parseAlertFilter } from '../query/alert-filter.ts'
import { decodeResumeToken } from './resume-token.ts'
import { startingFrom, type TailPosition } from './tail-position.ts'

export const DEFAULT_POLL_INTERVAL_MS = 1000
const SHORTEST_INTERVAL_MS = 10
const LONGEST_INTERVAL_MS = 3_600_000

/** Text that is meant for a moment. No token begins like this. */
const YEAR = /^\d{4}-/

export interface ParsedTailOptions {
  readonly filter: AlertFilter
  /** Absent: from now on. */
  readonly start: TailPosition | undefined
  /** The database that a token is of. */
  readonly identity: string | undefined
  readonly pollIntervalMs: number
  readonly signal: AbortSignal | undefined
  readonly timeoutMs: number | undefined
  readonly onRetry: (error: unknown) => void
}

/** @throws InvalidInputError */
export function parseTailOptions(options: unknown): ParsedTailOptions {
  const given = parseObject('options', options, [
    'after',
    'filter',
    'pollIntervalMs',
    'signal',
    'timeoutMs',
    'onRetry',
  ])
  const filter = parseAlertFilter('options.filter', given.filter ?? {})
  const pollIntervalMs = given.pollIntervalMs ?? DEFAULT_POLL_INTERVAL_MS
  return {
    filter,
    ...parseAfter(given.after, filter),
    pollIntervalMs: parseInteger(
      'options.pollIntervalMs',
      pollIntervalMs,
      SHORTEST_INTERVAL_MS,
      LONGEST_INTERVAL_MS,
    ),
    signal: undefined,
    timeoutMs: undefined,
    ...parseCallOptions('options', given),
    onRetry: parseListener('options.onRetry', given.onRetry),
  }
}

function parseAfter(after: unknown, filter: AlertFilter): Pick<ParsedTailOptions, 'start' | 'identity'> {
  if (after === undefined || after === null) return { start: undefined, identity: undefined }
  if (after instanceof Date || (typeof after === 'string' && YEAR.test(after))) {
    return { start: startingFrom(parseTimestamp('options.after', after)), identity: undefined }
  }
  const { position, identity } = decodeResumeToken('options.after', after, filter)
  return { start: position, identity }
}

function parseListener(field: string, given: unknown): (error: unknown) => void {
  if (given === undefined) return () => undefined
  if (typeof given !== 'function') throw new InvalidInputError(field, given, 'a function')
  return error => void given(error)
}
