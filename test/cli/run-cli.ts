import { CommanderError } from 'commander'
import type { CommandContext } from '../../src/cli/command-context.ts'
import { EXIT_CODE } from '../../src/cli/exit-code.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { reportError } from '../../src/cli/report-error.ts'

export interface CliResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command line in this process, against the database of the test. */
export async function runCli(
  connectionString: string,
  argv: readonly string[],
  stdin: AsyncIterable<Uint8Array> = empty(),
  options: { readonly isTTY?: boolean; readonly signal?: AbortSignal } = {},
): Promise<CliResult> {
  let stdout = ''
  let stderr = ''
  const isTTY = options.isTTY ?? false
  const context: CommandContext = {
    signal: options.signal ?? new AbortController().signal,
    stdout: { write: text => (stdout += text), isTTY },
    stderr: { write: text => (stderr += text), isTTY, columns: 80 },
    stdin,
    env: { TRIPWIRE_DATABASE_URL: connectionString },
    exitCode: EXIT_CODE.done,
  }
  try {
    await buildProgram(context).parseAsync([...argv], { from: 'user' })
    return { exitCode: context.exitCode, stdout, stderr }
  } catch (error) {
    if (error instanceof CommanderError || error instanceof Error) {
      const exitCode = reportError(error, context.stderr)
      return { exitCode, stdout, stderr }
    }
    throw error
  }
}

async function* empty(): AsyncIterable<Uint8Array> {}

export async function* bytesOf(...chunks: readonly string[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

/** The objects of a `--json` output. */
export function jsonLines(text: string): readonly Record<string, unknown>[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}
