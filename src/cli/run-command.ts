import { type Command, CommanderError } from 'commander'
import { InvalidInputError, TripwireStorageError } from '../errors.ts'
import type { CommandContext, TextOutput } from './command-context.ts'
import { EXIT_CODE, type ExitCode } from './exit-code.ts'
import { printable } from './output.ts'
import { buildProgram } from './program.ts'

const USAGE_CODES: ReadonlySet<string> = new Set([
  'INVALID_INPUT',
  'UNKNOWN_OPTION',
  'INVALID_CONNECTION_STRING',
])

/** Runs one command line and returns its exit code. The only place that listens to signals. */
export async function runCommand(argv: readonly string[]): Promise<ExitCode> {
  const abort = new AbortController()
  const onSignal = (signal: NodeJS.Signals) => {
    // The first asks to stop in order; the second does not wait.
    if (abort.signal.aborted) process.exit(EXIT_CODE.failed)
    process.stderr.write(`\n${signal}: stopping in order; once more to stop at once\n`)
    abort.abort()
    // A silent pipe would keep a reader waiting for ever.
    process.stdin.destroy()
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  const stdout = untilClosed(process.stdout)
  const stderr = untilClosed(process.stderr)
  const context: CommandContext = {
    signal: abort.signal,
    stdout,
    stderr,
    stdin: process.stdin,
    env: process.env,
    exitCode: EXIT_CODE.done,
  }
  try {
    await parse(buildProgram(context), argv)
    return context.exitCode
  } catch (error) {
    return reportError(error, context.stderr)
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

async function parse(program: Command, argv: readonly string[]): Promise<void> {
  await program.parseAsync([...argv], { from: 'user' })
}

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

/** A reader that has seen enough, such as head, closes the pipe. That is not a failure, and the command still ends in order. */
function untilClosed(stream: NodeJS.WriteStream): TextOutput {
  let isClosed = false
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    isClosed = true
  })
  return {
    write: text => isClosed || stream.write(text),
    isTTY: stream.isTTY,
    columns: stream.columns,
  }
}
