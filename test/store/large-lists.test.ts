import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()
const FIXTURE = fileURLToPath(new URL('large-list.fixture.ts', import.meta.url))
/** A process that has not ended by then hangs. */
const DEADLINE_MS = 60_000

describe('F10: insertAlerts with 70,000 alerts', () => {
  it('stores them all in one call, and finds them all when they are sent again', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    await database.sql('SELECT ensure_alert_partition(now())')
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--max-old-space-size=512', FIXTURE, database.connectionString, hostId],
      { timeout: DEADLINE_MS, killSignal: 'SIGKILL' },
    )
    expect(JSON.parse(stdout)).toEqual([
      { inOrder: true, stored: 70_000 },
      { inOrder: true, duplicate: 70_000 },
    ])
    expect(await countAlerts(database, hostId)).toBe(70_000)
  }, 120_000)
})
