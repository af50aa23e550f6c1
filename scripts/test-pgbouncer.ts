/**
 * Runs the tests through PgBouncer in transaction mode: all of them, or what the arguments for Vitest name.
 * `npm run test:pgbouncer`
 * `npm run test:pgbouncer -- test/store test/migrate`
 */
import { runTestsThroughPgBouncer } from './support/run-tests.ts'

process.exitCode = runTestsThroughPgBouncer(process.argv.slice(2))
