/**
 * Runs the tests through PgBouncer in transaction mode: all of them, or what the arguments for Vitest name.
 * `npm run test:pgbouncer`
 * `npm run test:pgbouncer -- test/store test/migrate`
 */
import { pgbouncerMissing } from '../test/support/pgbouncer.ts'
import { runTests } from './support/run-tests.ts'

const missing = pgbouncerMissing()
if (missing !== undefined) console.error(`no test was run: ${missing}`)
process.exitCode =
  missing === undefined ? runTests(process.argv.slice(2), { TRIPWIRE_TEST_POOLER: 'pgbouncer' }) : 1
