import { type CallLimits, withinLimits } from '../../pg/call-limits.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { type ClosedPartitions, listClosedPartitions, NO_CLOSED_PARTITIONS } from './closed-partitions.ts'
import { type CountRequest, sumsHours } from './exact-counts.ts'

/**
 * READ COMMITTED, because a statement then locks its tables before it takes its snapshot: what it plans with and what it sees belong
 * together. No JIT: the planner cannot know how little of the alerts is read, and compiling for all of them would take longer.
 */
const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL jit = off'

type CountedSpan = Pick<CountRequest, 'from' | 'to' | 'bucket'>

/** Runs a statement that sets counts beside the alerts of a span. */
export async function inCountTransaction<T>(
  db: Database,
  { from, to, bucket }: CountedSpan,
  limits: CallLimits,
  work: (transaction: QueryRunner, partitions: ClosedPartitions) => Promise<T>,
): Promise<T> {
  return withinLimits(limits, signal =>
    db.transaction(
      async transaction =>
        work(
          transaction,
          sumsHours(bucket) ? await listClosedPartitions(transaction, from, to) : NO_CLOSED_PARTITIONS,
        ),
      signal,
      BEGIN,
    ),
  )
}
