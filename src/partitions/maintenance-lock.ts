import type { Database } from '../pg/database.ts'
import { LIFT_IDLE_LIMITS } from '../pg/time-limits.ts'

const TRY_LOCK = `
  SELECT pg_try_advisory_xact_lock(
    hashtext('tripwire-storage maintenance'),
    (SELECT relnamespace::integer FROM pg_class WHERE oid = 'alerts'::regclass)
  ) AS taken`

/** The lock that keeps two maintainers of one schema apart. */
export interface MaintenanceLock {
  /** @throws DatabaseError when the connection that holds the lock is gone, and another may be at work. */
  requireHeld(): Promise<void>
}

/**
 * Runs `work` while no other maintainer is at work on this schema. The lock belongs to a transaction and not to a session, so
 * that a pooler may stand between, and goes with its connection, whatever ends the process. It needs a connection of its own.
 * @returns `undefined`, at once, when another one is at work.
 */
export async function withMaintenanceLock<T>(
  db: Database,
  work: (lock: MaintenanceLock) => Promise<T>,
): Promise<T | undefined> {
  let done: { readonly result: T } | undefined
  try {
    await db.transaction(async transaction => {
      const { rows } = await transaction.query<{ taken: boolean }>(TRY_LOCK)
      if (!rows[0]?.taken) return
      // Between two actions it is idle. At READ COMMITTED it has no snapshot then, so it holds up nothing.
      await transaction.query(LIFT_IDLE_LIMITS)
      done = { result: await work({ requireHeld: () => transaction.runScript('SELECT 1') }) }
    })
  } catch (error) {
    // What was done is done, also when the lock could not be given back in order.
    if (!done) throw error
  }
  return done?.result
}
