import { expect } from 'vitest'
import type { TestDatabase } from '../support/test-database.ts'

/**
 * Until an index stands in the catalogue, not valid yet, and its build waits for a transaction that has written and is idle. Any session that waits
 * for a lock would not do: a build also waits for the autovacuum of its table, before it has left a trace. Nor would its phase:
 * the build of another month waits for an instant, too, for whoever reads.
 */
export async function waitForHeldUpBuild(database: TestDatabase): Promise<void> {
  await expect
    .poll(
      () =>
        database.sql(`
          SELECT FROM pg_stat_progress_create_index AS build
          JOIN pg_index ON indexrelid = index_relid
          JOIN pg_stat_activity AS writer ON writer.pid = ANY (pg_blocking_pids(build.pid))
          WHERE build.datname = current_database() AND NOT indisvalid
            AND writer.state = 'idle in transaction' AND writer.backend_xid IS NOT NULL`),
      { timeout: 20_000 },
    )
    .toHaveLength(1)
}
