/**
 * Lets a transaction be idle for as long as it has to: one that holds a lock while others work. transaction_timeout exists since
 * PostgreSQL 17.
 */
export const LIFT_IDLE_LIMITS = `
  SELECT set_config(name, '0', true)
  FROM pg_settings
  WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')`

/** Lets a transaction take the time that it takes: one that reads all there is. */
export const LIFT_TIME_LIMITS = `
  SELECT set_config(name, '0', true)
  FROM pg_settings
  WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')`
