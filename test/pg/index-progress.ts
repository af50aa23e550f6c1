import { expect } from 'vitest'
import type { TestDatabase } from '../support/test-database.ts'

/**
 * Until an index stands in the catalogue, not valid yet, and its build waits for an open transaction. Any session that waits
 * for a lock would not do: a build also waits for the autovacuum of its table, before it has left a trace.
 */
export async function waitForHeldUpBuild(database: TestDatabase): Promise<void> {
  await expect
    .poll(
      () =>
        database.sql(`
          SELECT FROM pg_stat_progress_create_index
          JOIN pg_index ON indexrelid = index_relid
          WHERE datname = current_database() AND NOT indisvalid AND phase LIKE 'waiting for%'`),
      { timeout: 20_000 },
    )
    .toHaveLength(1)
}
