import { type PgBouncer, pgbouncerMissing, startPgBouncer } from './pgbouncer.ts'

/** More than the transactions of a test that wait for each other. Of every database and role, so the server has more than by default: test-server.ts. */
const POOL_SIZE = 40

/**
 * What stands between the tests and their server: nothing, or with TRIPWIRE_TEST_POOLER=pgbouncer a PgBouncer in transaction mode. It is
 * one for the whole run, because a test file knows its connection string before its hooks run.
 */
export async function startTestPooler(
  env: NodeJS.ProcessEnv,
  serverUrl: string,
): Promise<PgBouncer | undefined> {
  const wanted = env['TRIPWIRE_TEST_POOLER']
  if (!wanted) return undefined
  if (wanted !== 'pgbouncer') throw new Error(`TRIPWIRE_TEST_POOLER: expected pgbouncer, got ${wanted}`)
  const missing = pgbouncerMissing()
  if (missing !== undefined) throw new Error(`TRIPWIRE_TEST_POOLER=pgbouncer: ${missing}`)
  return startPgBouncer({ serverUrl, poolSize: POOL_SIZE })
}
