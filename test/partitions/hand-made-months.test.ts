import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Store } from '../../src/index.ts'
import { newAlert, newAlerts, openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { connectClient, contentOf, insertAlerts, insertHost, makeMonthByHand } from './fixtures.ts'

const database = useTestDatabase()
const MONTH = '2024-07'
const NAME = 'alerts_2024_07'
/** More than what is completed on the spot. */
const MANY = 20_000
let store: Store
let hostId: string

beforeAll(async () => {
  store = await openStore(database)
  hostId = await insertHost(database)
})
afterAll(() => store.close())
afterEach(async () => {
  await database.sql(`DROP TABLE IF EXISTS ${NAME}; DELETE FROM alert_dead_letters`)
})

async function isComplete(): Promise<boolean | undefined> {
  return (await store.listPartitions()).find(({ partition }) => partition === NAME)?.isComplete
}

const inMonth = (members: object = {}) =>
  newAlert(hostId, { receivedAt: `${MONTH}-20T00:00:00Z`, ...members })

describe('a month that was made by hand', () => {
  it('is completed before its first alert while it is small', async () => {
    await makeMonthByHand(database, MONTH, NAME)
    expect(await isComplete()).toBe(false)
    const alert = inMonth()
    expect((await store.insertAlerts([alert])).map(({ outcome }) => outcome)).toEqual(['stored'])
    expect(await isComplete()).toBe(true)
    expect((await store.insertAlerts([alert])).map(({ outcome }) => outcome)).toEqual(['duplicate'])
  })

  it('with many alerts is left to the maintenance, which holds off no writer', async () => {
    await makeMonthByHand(database, MONTH, NAME)
    await insertAlerts(database, MONTH, hostId, MANY)
    const [alert] = newAlerts(1, hostId, { receivedAt: `${MONTH}-20T00:00:00Z` })
    if (!alert) throw new Error('there is an alert')
    await store.insertAlerts([alert])
    expect(await isComplete()).toBe(false)
    // A writer with an open transaction: the index is built all the same, after it ended, and others write meanwhile.
    await using writer = await connectClient(database.directConnectionString)
    await writer.query('BEGIN')
    await writer.query(
      `INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, severity, received_at) VALUES ('${hostId}', now(), 'FILE', 'r', 'INFO', '${MONTH}-21T00:00:00Z')`,
    )
    const maintained = store.runMaintenance()
    await expect
      .poll(
        async () =>
          (
            await database.sql(
              `SELECT FROM pg_stat_progress_create_index WHERE relid = to_regclass('${NAME}')`,
            )
          ).length,
        {
          timeout: 20_000,
        },
      )
      .toBe(1)
    const written = await store.insertAlerts(newAlerts(50, hostId, { receivedAt: `${MONTH}-22T00:00:00Z` }))
    expect(written.filter(({ outcome }) => outcome !== 'stored')).toEqual([])
    expect(
      await database.sql(`SELECT FROM pg_stat_progress_create_index WHERE relid = to_regclass('${NAME}')`),
    ).toHaveLength(1)
    await writer.query('COMMIT')
    expect(await maintained).toMatchObject({ completed: [NAME], failures: [] })
    expect(await isComplete()).toBe(true)
    expect((await store.insertAlerts([alert])).map(({ outcome }) => outcome)).toEqual(['duplicate'])
    // The triggers stand on the partition as well, for clients that write there.
    await expect(
      database.sql(
        `INSERT INTO ${NAME} SELECT gen_random_uuid(), '${randomUUID()}', now(), 'FILE', 'r', NULL, 'INFO', '${MONTH}-21Z'`,
      ),
    ).rejects.toMatchObject({ code: '23503', constraint: 'alerts_host_is_registered' })
  })

  it('gets back a single trigger that is missing', async () => {
    await makeMonthByHand(database, MONTH, NAME)
    await store.runMaintenance()
    await database.sql(`DROP TRIGGER alerts_check_resends ON ${NAME}`)
    expect(await isComplete()).toBe(false)
    expect(await store.runMaintenance()).toMatchObject({ completed: [NAME] })
    expect(await isComplete()).toBe(true)
  })

  it('is completed after a build of its index was cut', async () => {
    await makeMonthByHand(database, MONTH, NAME)
    await insertAlerts(database, MONTH, hostId, MANY)
    await using reader = await connectClient(database.directConnectionString)
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await reader.query('SELECT FROM alerts LIMIT 1')
    await using builder = await connectClient(database.directConnectionString)
    const { rows } = await builder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const cut = builder
      .query(`CREATE UNIQUE INDEX CONCURRENTLY ${NAME}_stored_once ON ${NAME} (alert_id, host_id)`)
      .catch(() => undefined)
    await expect
      .poll(
        async () =>
          (
            await database.sql(
              `SELECT phase FROM pg_stat_progress_create_index WHERE relid = to_regclass('${NAME}')`,
            )
          )[0]?.['phase'],
        { timeout: 20_000 },
      )
      .toMatch(/^waiting for old snapshots/)
    await database.sql(`SELECT pg_terminate_backend(${rows[0]?.pid})`)
    await cut
    await reader.query('ROLLBACK')
    expect(await isComplete()).toBe(false)
    expect(await store.runMaintenance()).toMatchObject({ completed: [NAME], failures: [] })
    expect(await isComplete()).toBe(true)
  })
})

describe('duplicates in a month that was made by hand', () => {
  const DOUBLED = '00000000-0000-4000-8000-00000000000d'
  const insert = (rule: string, day: number, detail = 'NULL') =>
    database.sql(
      `INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at)
       VALUES ('${DOUBLED}', '${hostId}', '2024-07-01Z', 'FILE', '${rule}', ${detail}, 'INFO', '${MONTH}-${day}T00:00:00Z')`,
    )

  it('keep it incomplete, and are said with what helps', async () => {
    await makeMonthByHand(database, MONTH, NAME)
    await insertAlerts(database, MONTH, hostId, 100)
    await insert('same', 10)
    await insert('same', 11)
    const report = await store.runMaintenance()
    expect(report.failures).toMatchObject([
      {
        action: 'complete',
        partition: NAME,
        error: { code: 'DUPLICATE_ALERTS', hint: expect.stringContaining('--remove-duplicates') },
      },
    ])
    // The ingest goes on, and nothing was removed.
    expect((await store.insertAlerts([inMonth()])).map(({ outcome }) => outcome)).toEqual(['stored'])
    expect(await contentOf(database, NAME)).toMatchObject({ rows: 103 })
    expect(await database.sql(`SELECT FROM pg_index WHERE NOT indisvalid`)).toEqual([])
  })

  it('are removed on request: the first stays, what says something else becomes a dead letter', async () => {
    await makeMonthByHand(database, MONTH, NAME)
    await insertAlerts(database, MONTH, hostId, 100)
    await insert('same', 12, `'{"a": 1.10}'`)
    await insert('same', 13, `'{"a": 1.10}'`)
    await insert('other', 14)
    await insert('same', 15, `'null'`)
    const report = await store.mendPartitions({ removeDuplicates: true })
    expect(report).toEqual({
      skipped: false,
      finalized: [],
      deduplicated: [{ partition: NAME, removed: 3, deadLettered: 2 }],
      completed: [NAME],
      failures: [],
    })
    const kept = await database.sql(
      `SELECT rule_name, event_detail::text AS detail, extract(day FROM received_at)::int AS day FROM ${NAME} WHERE alert_id = '${DOUBLED}'`,
    )
    expect(kept).toEqual([{ rule_name: 'same', detail: '{"a": 1.10}', day: 12 }])
    expect(await contentOf(database, NAME)).toMatchObject({ rows: 101 })
    const letters = await store.listDeadLetters()
    expect(letters.map(({ reason, alertId, hostId }) => [reason, alertId, hostId])).toEqual(
      letters.map(() => ['ALERT_CONFLICT', DOUBLED, hostId]),
    )
    const alerts = letters
      .map(({ alertJson }) => JSON.parse(alertJson))
      .sort((a, b) => (a.ruleName < b.ruleName ? -1 : 1))
    expect(alerts).toMatchObject([
      { ruleName: 'other', receivedAt: `${MONTH}-14T00:00:00.000000Z` },
      { ruleName: 'same', eventDetail: null, receivedAt: `${MONTH}-15T00:00:00.000000Z` },
    ])
    expect(alerts[0]).not.toHaveProperty('eventDetail')
    expect(await store.mendPartitions({ removeDuplicates: true })).toMatchObject({
      deduplicated: [],
      completed: [],
    })
  })

  it('are not removed without a request', async () => {
    await makeMonthByHand(database, MONTH, NAME)
    await insert('same', 10)
    await insert('same', 11)
    expect((await store.mendPartitions()).failures).toMatchObject([{ error: { code: 'DUPLICATE_ALERTS' } }])
    expect(await contentOf(database, NAME)).toMatchObject({ rows: 2 })
  })
})

describe('a month whose names are taken', () => {
  it('gets its unique index under another name, when a renamed table kept the name of its own', async () => {
    await store.insertAlerts(newAlerts(1, hostId, { receivedAt: '2022-05-05T00:00:00Z' }))
    await database.sql(
      `ALTER TABLE alerts DETACH PARTITION alerts_y2022m05; ALTER TABLE alerts_y2022m05 RENAME TO kept_2022_05`,
    )
    const alert = newAlert(hostId, { receivedAt: '2022-05-06T00:00:00Z' })
    expect((await store.insertAlerts([alert, alert])).map(({ outcome }) => outcome)).toEqual([
      'stored',
      'duplicate',
    ])
    const made = (await store.listPartitions()).find(({ partition }) => partition === 'alerts_y2022m05')
    expect(made).toMatchObject({ isComplete: true })
    await database.sql('DROP TABLE kept_2022_05, alerts_y2022m05')
  })
})

describe('a partition without bounds', () => {
  it('takes an infinite moment from a client that writes one, and does not look through all time for it', async () => {
    await database.sql('CREATE TABLE alerts_default PARTITION OF alerts DEFAULT')
    await database.sql(
      `INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
       VALUES ('${hostId}', now(), 'FILE', 'r', 'INFO', 'infinity'), ('${hostId}', now(), 'FILE', 'r', 'INFO', '-infinity')`,
    )
    expect(await database.sql('SELECT FROM alerts_default')).toHaveLength(2)
    await database.sql('DROP TABLE alerts_default')
  })
})
