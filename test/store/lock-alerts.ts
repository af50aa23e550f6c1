import pg from 'pg'
import { expect } from 'vitest'
import type { TestDatabase } from '../support/test-database.ts'

/** Another client that holds the table of alerts, so that writers wait. */
export interface AlertsLock extends AsyncDisposable {
  /** Until so many sessions wait for a lock. */
  waitForWaiters(count: number): Promise<void>
  release(): Promise<void>
}

export async function lockAlerts(database: TestDatabase): Promise<AlertsLock> {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('BEGIN')
  await client.query('LOCK TABLE alerts IN ACCESS EXCLUSIVE MODE')
  let released: Promise<void> | undefined
  const release = () => {
    released ??= client.end()
    return released
  }
  return {
    waitForWaiters: count => waitForWaiters(database, count),
    release,
    [Symbol.asyncDispose]: release,
  }
}

/** Until so many sessions of the database wait for a lock. */
export async function waitForWaiters(database: TestDatabase, count: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const rows = await database.sql(
          `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = '${database.name}' AND wait_event_type = 'Lock'`,
        )
        return Number(rows[0]?.['count'])
      },
      { timeout: 20_000 },
    )
    .toBeGreaterThanOrEqual(count)
}
