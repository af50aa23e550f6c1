import { expect } from 'vitest'
import type { TestDatabase } from '../support/test-database.ts'

/**
 * Until an index stands in the catalogue, not valid yet, and its build waits for an open transaction. Any session that waits
 * for a lock would not do: a build also waits for the autovacuum of its table, before it has left a trace. Nor would its phase:
 * it names what it may have to wait for, also where there is nobody.
 */
export async function waitForHeldUpBuild(database: TestDatabase): Promise<void> {
  await expect
    .poll(
      () =>
        database.sql(`
          SELECT FROM pg_stat_progress_create_index
          JOIN pg_index ON indexrelid = index_relid
          JOIN pg_stat_activity USING (pid)
          WHERE pg_stat_activity.datname = current_database() AND NOT indisvalid AND wait_event = 'virtualxid'`),
      { timeout: 20_000 },
    )
    .toHaveLength(1)
}
