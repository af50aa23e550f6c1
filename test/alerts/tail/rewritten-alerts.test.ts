import { expect, it } from 'vitest'
import { connectClient } from '../../partitions/fixtures.ts'
import { newAlert, newAlerts, newHost, openStore, rejection } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'

const database = useTestDatabase()

it('F41: expires every tail instead of missing alerts, when all of them are written anew', async () => {
  await using store = await openStore(database)
  // The numbers of transactions that run stay within reach of a journal that is begun anew.
  await using running = await connectClient(database.directConnectionString)
  await running.query('BEGIN')
  await running.query('SELECT pg_current_xact_id()')
  const hostId = await newHost(store)
  const filter = { hostId }
  await using begun = store.tailAlerts({ filter })
  await begun.started()
  const beginning = begun.resumeToken
  await store.insertAlerts(newAlerts(2, hostId))
  await using within = store.tailAlerts({ filter, after: beginning })
  await within.next()
  const token = within.resumeToken
  await within.next()
  await using caughtUp = store.tailAlerts({ filter, pollIntervalMs: 10 })
  await caughtUp.started()

  await database.sql(`
    BEGIN;
    ALTER TABLE alerts ADD COLUMN marked UUID DEFAULT gen_random_uuid();
    SELECT expire_alert_tails();
    COMMIT`)

  const expired = { code: 'TAIL_EXPIRED', hint: expect.stringContaining('streamAlerts') }
  for (const tail of [begun, caughtUp]) expect(await rejection(tail.next())).toMatchObject(expired)
  for (const after of [beginning, token]) {
    await using tail = store.tailAlerts({ filter, after })
    expect(await rejection(tail.next())).toMatchObject(expired)
  }
  await using anew = store.tailAlerts({ filter })
  await anew.started()
  const next = newAlert(hostId)
  await store.insertAlerts([next])
  expect((await anew.next()).value?.alert.alertId).toBe(next.alertId)
})
