/**
 * Lets a transaction be idle for as long as it has to: one that holds a lock while others work. transaction_timeout exists since
 * PostgreSQL 17.
 */
export const LIFT_IDLE_LIMITS = `
  SELECT set_config(name, '0', true)
  FROM pg_settings
  WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')`
