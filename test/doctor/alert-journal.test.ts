import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { DEFAULT_TAIL_KEEP_HOURS } from '../../src/store-options.ts'
import { connectClient, insertAlerts, insertHost } from '../partitions/fixtures.ts'
import { openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { carryOut, checkOf, examine, expectFoundAndMended, makeHealthy, problemsOf } from './support.ts'

const database = useTestDatabase()
let hostId: string

// The database is a copy of another one.
beforeAll(() => database.sql('SELECT renew_alert_journal()'))
beforeEach(async () => {
  hostId = await insertHost(database)
  await makeHealthy(database)
  expect(problemsOf(await examine(database))).toEqual([])
})
afterEach(() =>
  database.sql(`TRUNCATE alerts, alert_journal; DELETE FROM maintenance_tasks WHERE task = 'prune_journal'`),
)

/** Writes alerts in so many statements, this many hours ago. */
async function writeStatements(statements: number, hoursAgo: number): Promise<void> {
  for (let count = 0; count < statements; count++) await insertAlerts(database, '2026-02', hostId, 1)
  await database.sql(`
    UPDATE alert_journal
    SET written_at = now() - INTERVAL '${hoursAgo} hours'
    WHERE written_at > now() - INTERVAL '1 hour'`)
}

/** Transactions of other tests keep rows from being pruned as well. */
async function untilOlderTransactionsEnded(): Promise<void> {
  const ended = 'SELECT pg_snapshot_xmin(pg_current_snapshot()) > max(xid) AS ended FROM alert_journal'
  await expect.poll(() => database.sql(ended), { timeout: 25_000 }).toEqual([{ ended: true }])
}

const countRows = async () =>
  (await database.sql('SELECT count(*)::int AS rows FROM alert_journal'))[0]?.['rows']

it('alert-journal finds that nobody prunes it, and what mends it does', async () => {
  await writeStatements(3, 97)
  await writeStatements(2, 95)
  await untilOlderTransactionsEnded()
  const found = await expectFoundAndMended(database, ['alert-journal: null'])
  const check = checkOf(found, 'alert-journal')
  expect(check.findings[0]).toMatchObject({
    message: expect.stringMatching(
      /holds 3 rows that are more than a day older than the 72 hours it is kept, .* takes [\d,]+ bytes, and it was never pruned/,
    ),
    mend: `SELECT prune_alert_journal(INTERVAL '72 hours');`,
    details: { overdue: 3, isAtLeast: false, isWaiting: false, keepHours: 72, lastPrunedAt: null },
  })
  expect(await countRows()).toBe(1)
})

it('alert-journal does not count beyond ten thousand', async () => {
  await database.sql(`
    INSERT INTO alert_journal (xid, oldest, newest, alerts, written_at)
    SELECT '1'::xid8, now(), now(), 1, now() - INTERVAL '5 days'
    FROM generate_series(1, 10002)`)
  await writeStatements(1, 0)
  await untilOlderTransactionsEnded()
  const check = checkOf(await examine(database), 'alert-journal')
  expect(check.findings[0]).toMatchObject({
    message: expect.stringContaining('more than 10,000 rows'),
    details: { overdue: 10_000, isAtLeast: true },
  })
})

it('alert-journal of a restored dump, with transactions of another server, waits for none of this one', async () => {
  await database.sql(`
    UPDATE alert_journal_state
    SET identity = 'another server';
    INSERT INTO alert_journal (xid, oldest, newest, alerts, written_at)
    SELECT (1000000000 + n)::text::xid8, now(), now(), 1, now() - INTERVAL '5 days'
    FROM generate_series(1, 2) AS n`)
  const found = await expectFoundAndMended(database, ['alert-journal: null'])
  expect(checkOf(found, 'alert-journal').findings[0]).toMatchObject({
    message: expect.stringContaining('holds 1 row that is more than a day older'),
    mend: `SELECT prune_alert_journal(INTERVAL '72 hours');`,
    details: { overdue: 1, isWaiting: false },
  })
  expect(await countRows()).toBe(0)
})

it('alert-journal is content with the newest row, however old it is', async () => {
  await writeStatements(1, 9000)
  expect(checkOf(await examine(database), 'alert-journal')).toMatchObject({
    status: 'ok',
    message: expect.stringMatching(/^it reaches back to .*, and takes [\d,]+ bytes$/),
  })
})

it('alert-journal goes by what whoever prunes keeps: a scheduler, or a store', async () => {
  await writeStatements(2, 200)
  await database.sql(`SELECT prune_alert_journal(INTERVAL '10 days')`)
  expect(problemsOf(await examine(database))).toEqual([])
  await writeStatements(2, 265)
  await untilOlderTransactionsEnded()
  expect(checkOf(await examine(database), 'alert-journal').findings[0]).toMatchObject({
    message: expect.stringMatching(/pruned last at \d{4}-/),
    mend: `SELECT prune_alert_journal(INTERVAL '240 hours');`,
  })
  {
    await using store = await openStore(database, { tailKeepHours: 100 })
    await store.runMaintenance()
  }
  expect(await countRows()).toBe(1)
  expect(checkOf(await examine(database), 'alert-journal')).toMatchObject({
    status: 'ok',
    details: { keepHours: 100 },
  })
})

it('alert-journal, stores and prune_alert_journal() mean the same hours where nobody says any', async () => {
  const expected = { details: { keepHours: DEFAULT_TAIL_KEEP_HOURS } }
  expect(checkOf(await examine(database), 'alert-journal')).toMatchObject(expected)
  await database.sql('SELECT prune_alert_journal()')
  expect(checkOf(await examine(database), 'alert-journal')).toMatchObject(expected)
})

it('alert-journal says that a transaction is in the way', async () => {
  await using client = await connectClient(database.directConnectionString)
  await client.query('BEGIN; SELECT pg_current_xact_id()')
  await writeStatements(2, 97)
  await database.sql('SELECT prune_alert_journal()')
  const [finding] = checkOf(await examine(database), 'alert-journal').findings
  expect(finding).toMatchObject({
    message: expect.stringContaining('A transaction is open'),
    mend: expect.stringContaining('pg_prepared_xacts'),
    details: { overdue: 1, isWaiting: true },
  })
  await client.query('COMMIT')
  await untilOlderTransactionsEnded()
  await carryOut(database, finding?.mend ?? '')
  expect(problemsOf(await examine(database))).toEqual([])
})
