import { expect, it } from 'vitest'
import { startEmbeddedPostgres } from '../../../src/embedded/index.ts'
import { migrateUp } from '../../../src/index.ts'
import { query, stopAfterTest, temporaryFolder } from '../../embedded/support.ts'
import { newAlerts, newHost, openStore } from '../../store/fixtures.ts'
import { Consumer } from './consumer.ts'

/** What the server has not written yet stays in its memory, and is lost with it. */
const LATE_WRITES = { wal_writer_delay: '10s', wal_writer_flush_after: '1GB', fsync: 'off' }

const USE_UP_NUMBERS = `
  DO $$
  BEGIN
    FOR n IN 1..300 LOOP
      PERFORM pg_current_xact_id();
      COMMIT;
    END LOOP;
  END
  $$`

const READ_HIGHEST = `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint::int`
const READ_NEWEST = 'SELECT max(xid::text::bigint)::int FROM alert_journal'
const READ_BACKEND = `
  SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() LIMIT 1`
/** The server may write all the same just before it crashes. Then no number comes again, and nothing is shown. */
const MOST_CRASHES = 10

it('F41: a crash after which numbers of transactions come again makes no tail miss an alert', {
  timeout: 120_000,
}, async () => {
  const server = stopAfterTest(
    await startEmbeddedPostgres({ dataDir: temporaryFolder(), settings: LATE_WRITES }),
  )
  const { connectionString } = server
  await migrateUp({ connectionString })
  await using store = await openStore({ connectionString })
  const hostId = await newHost(store)
  const following = new Consumer({ filter: { hostId } })
  await following.start(store)
  const stored: string[] = []
  const insert = async (count: number) => {
    for (const alert of newAlerts(count, hostId)) {
      stored.push(alert.alertId)
      const outcome = () => store.insertAlerts([alert]).then(() => 'stored', String)
      await expect.poll(outcome, { timeout: 20_000 }).toBe('stored')
    }
  }
  const expectDelivered = async (consumer: Consumer, wanted: readonly string[]) => {
    for (const alertId of wanted) await consumer.waitFor(alertId)
    expect([...consumer.delivered].sort()).toEqual([...wanted].sort())
  }

  let numbersCameAgain = false
  for (let crash = 0; crash < MOST_CRASHES && !numbersCameAgain; crash++) {
    await insert(1)
    await expectDelivered(following, stored)
    await query(connectionString, USE_UP_NUMBERS)
    const beginning = new Consumer({ filter: { hostId } })
    await beginning.start(store)
    await beginning.stop()
    const [highest] = await query(connectionString, READ_HIGHEST)
    const [pid] = await query(connectionString, READ_BACKEND)
    process.kill(Number(pid), 'SIGKILL')

    const before = stored.length
    await insert(10)
    const [newest] = await query(connectionString, READ_NEWEST)
    numbersCameAgain = Number(newest) < Number(highest)
    await beginning.start(store)
    await expectDelivered(beginning, stored.slice(before))
    await beginning.stop()
    await expectDelivered(following, stored)
  }
  await following.stop()
  expect(numbersCameAgain).toBe(true)
})
