import { spawn, spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { PROJECT_DIR } from './project.ts'

export interface RunOptions {
  readonly cwd?: string
  /** Added to the environment of this process; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** After this time `run` kills the program, which counts as a failure. */
  readonly timeoutMs?: number
}

/** The environment of this process with this Node.js first in PATH, for programs that look for `node` there. */
export function environment(changes: RunOptions['env'] = {}): NodeJS.ProcessEnv {
  const path = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter)
  const env: NodeJS.ProcessEnv = { ...process.env, PATH: path }
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete env[name]
    else env[name] = value
  }
  return env
}

/** Runs a program with the terminal of this one and returns its exit status. */
export function runVisibly(program: string, args: readonly string[], options: RunOptions = {}): number {
  const result = spawnSync(program, [...args], {
    cwd: options.cwd ?? PROJECT_DIR,
    env: environment(options.env),
    stdio: 'inherit',
    shell: needsShell(program),
  })
  if (result.error !== undefined) throw result.error
  return result.status ?? 1
}

export interface Outcome {
  readonly status: number
  readonly stdout: string
  /** What it wrote to either. */
  readonly output: string
}

/** Runs a program and collects what it writes. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const child = spawn(program, [...args], {
    cwd: options.cwd ?? PROJECT_DIR,
    env: environment(options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: needsShell(program),
    ...(options.timeoutMs === undefined
      ? {}
      : { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const }),
  })
  let stdout = ''
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal !== null) output += `\nended by ${signal}`
      resolve({ status: code ?? 1, stdout, output })
    })
  })
}

/** The same, for a program that must succeed. Returns what it wrote to stdout. */
export async function runOrThrow(
  program: string,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const { status, stdout, output } = await run(program, args, options)
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${output.trimEnd()}`)
  return stdout
}

/** A program of node_modules that is a script, as arguments for Node.js. */
export function installedScript(...path: string[]): string {
  return join(PROJECT_DIR, 'node_modules', ...path)
}

export const TSC = installedScript('typescript', 'bin', 'tsc')

/** On Windows npm is a batch file. */
function needsShell(program: string): boolean {
  return process.platform === 'win32' && (program === 'npm' || program === 'npx')
}
