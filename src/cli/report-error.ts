import { CommanderError } from 'commander'
import { InvalidInputError, TripwireStorageError } from '../errors.ts'
import type { TextOutput } from './command-context.ts'
import { EXIT_CODE, type ExitCode } from './exit-code.ts'
import { printable } from './output.ts'

const USAGE_CODES: ReadonlySet<string> = new Set([
  'INVALID_INPUT',
  'UNKNOWN_OPTION',
  'INVALID_CONNECTION_STRING',
])

/** Says what went wrong, and what it means for the exit code. */
export function reportError(error: unknown, stderr: TextOutput): ExitCode {
  // Commander has printed its own message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODE.done : EXIT_CODE.usage
  if (error instanceof TripwireStorageError) {
    stderr.write(`error: ${printable(error.message)} [${error.code}]\n`)
    if (error.hint) stderr.write(`hint: ${printable(error.hint)}\n`)
    return error instanceof InvalidInputError && USAGE_CODES.has(error.code)
      ? EXIT_CODE.usage
      : EXIT_CODE.failed
  }
  // Not one of ours: a defect, or something of the system. The stack tells where.
  stderr.write(`error: ${error instanceof Error ? error.stack : String(error)}\n`)
  return EXIT_CODE.failed
}
