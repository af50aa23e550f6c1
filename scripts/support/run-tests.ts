import { installedScript, type RunOptions, runVisibly } from './run-program.ts'

/** Runs Vitest once with the terminal of this process, and returns its exit status. */
export function runTests(args: readonly string[], env: NonNullable<RunOptions['env']> = {}): number {
  return runVisibly(process.execPath, [installedScript('vitest', 'vitest.mjs'), 'run', ...args], { env })
}
