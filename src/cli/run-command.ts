import type { Command } from 'commander'
import type { CommandContext, TextOutput } from './command-context.ts'
import { EXIT_CODE, type ExitCode } from './exit-code.ts'
import { buildProgram } from './program.ts'
import { reportError } from './report-error.ts'

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

const DRAIN_EVENTS = ['drain', 'close', 'error'] as const

async function parse(program: Command, argv: readonly string[]): Promise<void> {
  await program.parseAsync([...argv], { from: 'user' })
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
    whenRead: async () => {
      if (!isClosed && stream.writableNeedDrain) await drained(stream)
      return !isClosed
    },
    isTTY: stream.isTTY,
    columns: stream.columns,
  }
}

/** Until there is room again, or until the reader is gone. */
async function drained(stream: NodeJS.WriteStream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  for (const event of DRAIN_EVENTS) stream.once(event, resolve)
  await promise
  for (const event of DRAIN_EVENTS) stream.off(event, resolve)
}
