import { expect, it } from 'vitest'
import { migrateUp } from '../../src/index.ts'
import { connectClient } from '../partitions/fixtures.ts'
import { newAlert, newHost, openStore, rejection } from '../store/fixtures.ts'
import { runAdminSql } from '../support/admin-sql.ts'
import { startReplicatedServer } from '../support/standby.ts'

const READ_NEWEST = 'SELECT max(xid::text::bigint)::int AS xid FROM alert_journal'

it('F41: a tail goes on where a standby took over, unless what was delivered is not there', {
  timeout: 120_000,
}, async () => {
  await using servers = await startReplicatedServer()
  const { connectionString } = servers.primary
  await migrateUp({ connectionString })
  await using primary = await openStore({ connectionString }, { notifyTails: false })
  const hostId = await newHost(primary)
  const [delivered, replicated, lost, anew] = Array.from({ length: 4 }, () => newAlert(hostId))
  if (!delivered || !replicated || !lost || !anew) throw new Error('there are no alerts')
  await using tail = primary.tailAlerts({ pollIntervalMs: 10 })
  await tail.started()
  await primary.insertAlerts([delivered])
  expect((await tail.next()).value?.alert.alertId).toBe(delivered.alertId)
  const token = tail.resumeToken
  await using open = await connectClient(connectionString)
  await open.query(`
    BEGIN;
    INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, severity)
    VALUES ('${hostId}', now(), 'FILE', 'never committed', 'INFO')`)
  await primary.insertAlerts([replicated])
  await servers.replayed()
  await servers.partWays()
  await primary.insertAlerts([lost])
  await tail.next()
  expect((await tail.next()).value?.alert.alertId).toBe(lost.alertId)
  const tokenBehindLost = tail.resumeToken
  const newestOf = async (server: string) => Number((await runAdminSql(server, READ_NEWEST))[0]?.['xid'])

  await servers.takeOver()
  await using promoted = await openStore(servers.standby)
  await promoted.insertAlerts([anew])
  // Numbers are given again, to other transactions.
  const { connectionString: successor } = servers.standby
  expect(await newestOf(successor)).toBeLessThanOrEqual(await newestOf(connectionString))
  await using going = promoted.tailAlerts({ after: token, pollIntervalMs: 10 })
  for (const { alertId } of [replicated, anew])
    expect((await going.next()).value?.alert.alertId).toBe(alertId)
  await using refused = promoted.tailAlerts({ after: tokenBehindLost })
  expect(await rejection(refused.next())).toMatchObject({
    code: 'TAIL_EXPIRED',
    message: expect.stringContaining('set back'),
  })
  await open.query('ROLLBACK')
})
