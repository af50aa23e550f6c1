import { type CallLimits, withinLimits } from '../../pg/call-limits.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'

/**
 * READ COMMITTED, because a statement then locks its tables before it takes its snapshot: what it plans with and what it sees belong
 * together. No JIT: the planner cannot know how little of the alerts is read, and compiling for all of them would take longer.
 */
const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL jit = off'

/** Runs a statement that sets counts beside alerts. */
export async function inCountTransaction<T>(
  db: Database,
  limits: CallLimits,
  work: (transaction: QueryRunner) => Promise<T>,
): Promise<T> {
  return withinLimits(limits, signal => db.transaction(work, signal, BEGIN))
}
