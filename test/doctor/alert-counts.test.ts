import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { rollUpCounts } from '../alerts/counts/counted-hours.ts'
import { insertAlerts, insertHost } from '../partitions/fixtures.ts'
import { openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { carryOut, checkOf, examine, makeHealthy, problemsOf } from './support.ts'

const database = useTestDatabase()

beforeEach(async () => {
  await makeHealthy(database)
  expect(problemsOf(await examine(database))).toEqual([])
})
afterEach(() => database.sql('TRUNCATE alerts'))

async function forgetMark(through = '-infinity'): Promise<void> {
  await database.sql(
    `UPDATE alert_count_state SET settled_through = '${through}', marked_through = '${through}', wait_for = NULL, marked_by = NULL`,
  )
}

it('alert-counts finds that nobody counts, once there are alerts of more than a day ago', async () => {
  await forgetMark()
  expect(checkOf(await examine(database), 'alert-counts')).toMatchObject({
    status: 'ok',
    message: 'nothing is counted yet',
  })
  await insertAlerts(database, '2026-02', await insertHost(database), 3)
  const found = await examine(database)
  expect(problemsOf(found)).toEqual(['alert-counts: null'])
  const [finding] = checkOf(found, 'alert-counts').findings
  expect(finding?.message).toContain('alerts are not counted by the hour')
  expect(finding?.mend).toBe('tripwire-storage alerts counts')
  await expect
    .poll(
      async () => {
        await carryOut(database, finding?.mend ?? '')
        return problemsOf(await examine(database))
      },
      { timeout: 60_000 },
    )
    .toEqual([])
})

it('alert-counts says that a transaction is in the way', async () => {
  await insertAlerts(database, '2026-02', await insertHost(database), 3)
  await forgetMark('2026-02-01T00:00:00Z')
  const client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  await client.query('BEGIN; SELECT pg_current_xact_id()')
  for (let step = 0; step < 3; step++) await database.sql('SELECT * FROM roll_up_alert_hours()')
  const [finding] = checkOf(await examine(database), 'alert-counts').findings
  expect(finding).toMatchObject({
    details: { settledThrough: '2026-02-01T00:00:00.000000Z', isWaiting: true },
    message: expect.stringContaining('pg_prepared_xacts'),
  })
  await client.end()
})

it('alert-counts finds that the state is gone, and what mends it leaves no hour counted that was not added to', async () => {
  const hostId = await insertHost(database)
  await insertAlerts(database, '2026-02', hostId, 3)
  await using store = await openStore(database)
  await rollUpCounts(store)
  await database.sql('DELETE FROM alert_count_state')
  const found = await examine(database)
  expect(problemsOf(found)).toEqual(['alert-counts: null'])
  await carryOut(database, checkOf(found, 'alert-counts').findings[0]?.mend ?? '')
  await insertAlerts(database, '2026-02', hostId, 2)
  const months = () =>
    store.alertTimeline({ from: '2026-02-01T00:00:00Z', to: '2026-03-01T00:00:00Z', bucket: 'month' })
  expect(await months()).toMatchObject([{ alerts: 5 }])
  await rollUpCounts(store)
  expect(await months()).toMatchObject([{ alerts: 5 }])
  expect(await store.checkAlertCounts()).toMatchObject({ wrongHours: 0 })
  expect(problemsOf(await examine(database))).toEqual([])
})

it('alert-counts tells how much is to go, without calling it a finding', async () => {
  const check = checkOf(await examine(database), 'alert-counts')
  expect(check).toMatchObject({
    status: 'ok',
    message: expect.stringMatching(/; [\d,]+ hours of earlier days to go$/),
  })
  expect(check.details['openHours']).toBeGreaterThanOrEqual(672)
})
