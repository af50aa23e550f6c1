import { pgbouncerMissing } from '../../test/support/pgbouncer.ts'
import { installedScript, type RunOptions, runVisibly } from './run-program.ts'

/** Runs Vitest once with the terminal of this process, and returns its exit status. */
export function runTests(args: readonly string[], env: NonNullable<RunOptions['env']> = {}): number {
  return runVisibly(process.execPath, [installedScript('vitest', 'vitest.mjs'), 'run', ...args], { env })
}

/** The same, with a PgBouncer before the server. Where it is not installed the run is skipped, and says so. */
export function runTestsThroughPgBouncer(
  args: readonly string[],
  env: NonNullable<RunOptions['env']> = {},
): number {
  const missing = pgbouncerMissing()
  if (missing === undefined) return runTests(args, { ...env, TRIPWIRE_TEST_POOLER: 'pgbouncer' })
  console.warn(`skipped: the tests through PgBouncer: ${missing}`)
  return 0
}
