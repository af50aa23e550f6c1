import type { QueryRunner } from '../../pg/database.ts'
import { LOCK_TIMEOUT_MS } from '../../pg/retry-lock.ts'

/** Lines are read in UTC. A row that a policy would hide must be an error: it would be missing in the archive. */
const SETTINGS = `
  SET LOCAL TimeZone = 'UTC';
  SET LOCAL DateStyle = 'ISO';
  SET LOCAL row_security = off;`

/** A month takes its time. transaction_timeout exists since PostgreSQL 17. */
const LIFT_TIME_LIMITS = `
  SELECT set_config(name, '0', true)
  FROM pg_settings
  WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')`

/**
 * Prepares a transaction that works on a whole month; its first statement. READ COMMITTED, whatever the default: a statement sees
 * all that was committed before it, and so, under a lock, all that there is.
 */
export async function prepareTransaction(transaction: QueryRunner): Promise<void> {
  await transaction.runScript(`
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS};
    ${SETTINGS}
    ${LIFT_TIME_LIMITS}`)
}
