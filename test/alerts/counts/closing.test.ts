/** When an hour is closed, and when it is open again. */
import type { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { openStore } from '../../store/fixtures.ts'
import { waitForWaiters } from '../../store/lock-alerts.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import {
  attach,
  COUNTED_HOSTS,
  closedHours,
  connectTo,
  countsAndRows,
  detach,
  PARTITION,
  rollUp,
  rollUpAll,
  rollUpStep,
  useCountedHours,
} from './counted-hours.ts'

const database = useTestDatabase()
useCountedHours(database)

const ALL = ['10', '11', '12', '13', '14', '15']

let roller: Client
let other: Client
let reader: Client
const clients: Client[] = []

beforeEach(async () => {
  for (let count = 0; count < 3; count++) clients.push(await connectTo(database))
  const [first, second, third] = clients
  if (!first || !second || !third) throw new Error('there are no clients')
  roller = first
  other = second
  reader = third
  await roller.query(
    `TRUNCATE alerts, alert_hour_counts, rolled_alert_hours; UPDATE alert_count_state SET settled_through = '-infinity', marked_through = '-infinity', marked_by = NULL, wait_for = NULL`,
  )
})

afterEach(async () => {
  await Promise.all(clients.splice(0).map(client => client.end()))
})

async function insert(client: Client, received = '2026-03-10 12:30+00', table = 'alerts'): Promise<void> {
  await client.query(`
    INSERT INTO ${table} (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
    VALUES ('${COUNTED_HOSTS[0]}', now(), 'FILE', 'a rule', 'WARN', '${received}')`)
}

async function expectExact(): Promise<void> {
  const { counts, rows } = await countsAndRows(reader)
  expect(counts).toEqual(rows)
}

async function addedRows(): Promise<unknown> {
  const { rows } = await reader.query('SELECT count(*)::int AS count FROM alert_hour_counts')
  return rows[0]
}

describe('an hour', () => {
  it('is closed in steps, each a transaction, and the newest come first', async () => {
    await insert(other)
    expect(await rollUpStep(roller, 2)).toMatchObject({ state: 'working', closed_hours: 0 })
    expect(await rollUpStep(roller, 2)).toMatchObject({ state: 'working', closed_hours: 0 })
    await expect
      .poll(() => rollUpStep(roller, 2), { interval: 10, timeout: 20_000 })
      .toMatchObject({ state: 'working', closed_hours: 2 })
    expect(await closedHours(reader)).toEqual(['14', '15'])
    await rollUpAll(roller)
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
  })

  it('stays open while a transaction is open that may not have seen the mark', async () => {
    await other.query('BEGIN')
    await insert(other)
    expect(await rollUp(roller)).toBe('waiting')
    expect(await closedHours(reader)).toEqual([])
    await insert(other)
    await other.query('COMMIT')
    await rollUpAll(roller)
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
  })

  // The id of the writer is later than that of the transaction that sets the mark, and than all that are completed.
  it('waits also for a writer that began while the mark was being set', async () => {
    await roller.query('BEGIN')
    await rollUpStep(roller)
    await other.query('BEGIN')
    await insert(other)
    await roller.query('COMMIT')
    expect(await addedRows()).toEqual({ count: 0 })
    expect(await rollUp(roller)).toBe('waiting')
    await other.query('COMMIT')
    await expectExact()
    await rollUpAll(roller)
    await expectExact()
  })

  it('is not closed by a transaction that has changed something: what it attached and truncated may look the same after it is done again', async () => {
    await roller.query('BEGIN')
    await rollUpStep(roller)
    await expect(rollUpStep(roller)).rejects.toMatchObject({ code: '25001' })
    await roller.query('ROLLBACK')
    await insert(other)
    await rollUpAll(roller)
    await roller.query(`BEGIN; TRUNCATE ${PARTITION}`)
    await insert(roller)
    await expect(rollUpStep(roller)).rejects.toMatchObject({ code: '25001' })
    await roller.query('ROLLBACK')
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
  })

  it.each(['REPEATABLE READ', 'SERIALIZABLE'])(
    'is not closed with the older snapshot of %s',
    async isolation => {
      await insert(other)
      await rollUpAll(roller)
      await roller.query(`SELECT reopen_alert_hours(ARRAY['2026-03-10 12:00+00'::timestamptz])`)
      await roller.query(`BEGIN ISOLATION LEVEL ${isolation}; SELECT FROM hosts`)
      await insert(other)
      await expect(rollUpStep(roller)).rejects.toMatchObject({ code: '0A000' })
      await roller.query('ROLLBACK')
      await rollUpAll(roller)
      expect(await closedHours(reader)).toEqual(ALL)
      await expectExact()
    },
  )

  it('is exact for a transaction that took its snapshot before all of it, and its id after', async () => {
    await insert(roller)
    await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await other.query('SELECT FROM hosts')
    await rollUpAll(roller)
    await insert(other)
    await other.query('COMMIT')
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
  })

  it('is counted by a transaction that was rolled back to a savepoint as if nothing had been', async () => {
    await rollUpAll(roller)
    await other.query('BEGIN')
    await insert(other)
    await other.query('SAVEPOINT here')
    await insert(other)
    await other.query('ROLLBACK TO SAVEPOINT here')
    await other.query('COMMIT')
    await expectExact()
  })

  it('is counted right by statements that insert, change and delete in one', async () => {
    await insert(other)
    await insert(other, '2026-03-10 13:30+00')
    await rollUpAll(roller)
    await other.query(`
      MERGE INTO alerts
      USING (VALUES ('2026-03-10 12:30+00'::timestamptz, 1), ('2026-03-10 13:30+00', 2), ('2026-03-10 14:30+00', 3)) AS given (moment, n)
        ON received_at = moment
      WHEN MATCHED AND n = 1 THEN DELETE
      WHEN MATCHED THEN UPDATE SET received_at = '2026-03-10 15:30+00', severity = 'CRITICAL'
      WHEN NOT MATCHED THEN
        INSERT (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
        VALUES ('${COUNTED_HOSTS[1]}', now(), 'PROCESS', 'merged', 'INFO', moment)`)
    await expectExact()
    await other.query(`
      INSERT INTO ${PARTITION} (alert_id, host_id, timestamp, tripwire_type, rule_name, severity, received_at)
      SELECT alert_id, host_id, timestamp, tripwire_type, 'again', 'WARN'::severity_level, received_at FROM alerts
      UNION ALL
      SELECT gen_random_uuid(), host_id, now(), 'FILE', 'new', 'INFO', '2026-03-10 10:30+00' FROM alerts
      ON CONFLICT (alert_id, host_id) DO UPDATE
      SET rule_name = EXCLUDED.rule_name, severity = EXCLUDED.severity`)
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
    const { rows } = await countsAndRows(reader, ['ruleName'])
    expect(rows).toHaveLength(5)
  })

  it('is merged when many were late, and what was added to open hours is taken out', async () => {
    await rollUpAll(roller)
    for (let count = 0; count < 40; count++) await insert(other)
    expect(await addedRows()).toEqual({ count: 160 })
    await reader.query(`SELECT reopen_alert_hours(ARRAY['2026-03-10 11:00+00'::timestamptz])`)
    await insert(other, '2026-03-10 11:30+00')
    await rollUpAll(roller)
    expect(await addedRows()).toEqual({ count: 8 })
    await expectExact()
  })

  it('costs a writer whose alerts are new no row', async () => {
    await roller.query(
      `UPDATE alert_count_state SET settled_through = '2026-03-10 12:00+00', marked_through = '2026-03-10 12:00+00'`,
    )
    await insert(other)
    expect(await addedRows()).toEqual({ count: 0 })
    await insert(other, '2026-03-10 11:59:59.999999+00')
    expect(await addedRows()).toEqual({ count: 4 })
  })
})

describe('a partition', () => {
  beforeEach(async () => {
    for (const hour of ALL) await insert(other, `2026-03-10 ${hour}:30+00`)
    await rollUpAll(roller)
  })

  it('that left and came back is counted anew, with what was done to it meanwhile', async () => {
    await other.query(detach())
    expect(await closedHours(reader)).toEqual([])
    await expectExact()
    await insert(other, '2026-03-10 12:45+00', PARTITION)
    await other.query(attach())
    expect(await closedHours(reader)).toEqual([])
    await expectExact()
    await rollUpAll(roller)
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
  })

  it('that left takes its counts with it', async () => {
    await other.query(detach())
    await rollUpAll(roller)
    expect(await addedRows()).toEqual({ count: 0 })
    await other.query(attach())
  })

  it('F22 whose detachment was cut half way has none, until it is finished', async () => {
    await other.query('BEGIN; SELECT FROM alerts LIMIT 1')
    await roller.query(`SET lock_timeout = '50ms'`)
    await expect(roller.query(`${detach()} CONCURRENTLY`)).rejects.toMatchObject({ code: '55P03' })
    await other.query('COMMIT')
    expect(await closedHours(reader)).toEqual([])
    await expectExact()
    await roller.query(`ALTER TABLE alerts DETACH PARTITION ${PARTITION} FINALIZE`)
    await expectExact()
    await roller.query(attach())
    await rollUpAll(roller)
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
  })

  it('that is attached and counted after a question was planned has no part in the answer', async () => {
    await using store = await openStore(database)
    // It is never counted, and planning waits for its lock.
    await other.query(`
      ${detach()};
      CREATE TABLE alerts_next_hour (LIKE alerts INCLUDING ALL) PARTITION BY RANGE (received_at);
      ALTER TABLE alerts ATTACH PARTITION alerts_next_hour FOR VALUES FROM ('2026-03-10 16:00+00') TO ('2026-03-10 17:00+00')`)
    onTestFinished(async () => {
      await database.sql('DROP TABLE alerts_next_hour')
    })
    await other.query('BEGIN; LOCK TABLE alerts_next_hour IN ACCESS EXCLUSIVE MODE')
    const counting = store.alertTimeline({
      from: '2026-03-10T10:15:00Z',
      to: '2026-03-10T17:00:00Z',
      bucket: 'day',
    })
    await waitForWaiters(database, 1)
    await roller.query(attach())
    await rollUpAll(roller)
    expect(await closedHours(reader)).toEqual(ALL)
    await other.query('COMMIT')
    // Not the five of the hours that are wholly within the span.
    expect(await counting).toMatchObject([{ alerts: 0 }])
  })

  it('that was truncated has none', async () => {
    await other.query(`TRUNCATE ${PARTITION}`)
    await expectExact()
    await insert(other)
    await expectExact()
    await rollUpAll(roller)
    await expectExact()
  })

  it('on which the triggers do not fire is not closed', async () => {
    await other.query(`ALTER TABLE ${PARTITION} DISABLE TRIGGER alerts_count_updated`)
    await reader.query(`SELECT reopen_alert_hours(ARRAY['2026-03-10 11:00+00'::timestamptz])`)
    await rollUpAll(roller)
    expect(await closedHours(reader)).toEqual(['10', '12', '13', '14', '15'])
    await other.query(`ALTER TABLE ${PARTITION} ENABLE TRIGGER alerts_count_updated`)
  })

  it.each(['alerts_count_inserted', 'alerts_keep_partition'])(
    'has no counts while %s does not fire on alerts',
    async trigger => {
      await other.query(`ALTER TABLE alerts DISABLE TRIGGER ${trigger}`)
      await insert(other)
      expect(await closedHours(reader)).toEqual([])
      await expectExact()
      await rollUpAll(roller)
      await other.query(`ALTER TABLE alerts ENABLE TRIGGER ${trigger}`)
      expect(await closedHours(reader)).toEqual([])
      await rollUpAll(roller)
      expect(await closedHours(reader)).toEqual(ALL)
      await expectExact()
    },
  )
})

describe('two that count at once', () => {
  it('do not disturb each other: one works, the other leaves', async () => {
    await insert(roller)
    await roller.query('BEGIN')
    expect(await rollUpStep(roller)).toMatchObject({ state: 'working' })
    expect(await rollUpStep(other)).toMatchObject({ state: 'busy' })
    await roller.query('COMMIT')
    await Promise.all([rollUp(roller), rollUp(other)])
    await rollUpAll(roller)
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
  })

  it('go on after one was killed, and nothing of its step is left', async () => {
    await insert(other)
    await rollUpStep(roller)
    await rollUpStep(roller)
    const { rows } = await roller.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    await expect
      .poll(
        async () => {
          await roller.query('BEGIN')
          const step = await rollUpStep(roller, 3)
          if (step?.closed_hours === 0) await roller.query('COMMIT')
          return step
        },
        { interval: 10, timeout: 20_000 },
      )
      .toMatchObject({ closed_hours: 3 })
    await reader.query('SELECT pg_terminate_backend($1, 5000)', [rows[0]?.pid])
    expect(await closedHours(reader)).toEqual([])
    expect(await addedRows()).toEqual({ count: 0 })
    await rollUpAll(other)
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
  })
})

describe('the mark', () => {
  it('of a clock that was ahead is set back, and the hours after it are open', async () => {
    await roller.query(
      `UPDATE alert_count_state SET settled_through = now() + INTERVAL '2 years', marked_through = now() + INTERVAL '2 years'`,
    )
    await insert(other)
    await rollUpAll(roller)
    const { rows } = await reader.query(
      'SELECT marked_through < now() AS past, settled_through = marked_through AS settled FROM alert_count_state',
    )
    expect(rows).toEqual([{ past: true, settled: true }])
    await expectExact()
  })

  it('of another server, whose transaction ids were later, is settled by those of this one', async () => {
    await rollUpStep(roller)
    await roller.query(`UPDATE alert_count_state SET wait_for = '9000000000000000'::xid8`)
    await rollUpAll(roller)
    expect(await closedHours(reader)).toEqual(ALL)
  })

  it('that is lost costs rows, and no exactness', async () => {
    await rollUpAll(roller)
    await roller.query('DELETE FROM alert_count_state')
    await insert(other)
    await expectExact()
    await expect(rollUpStep(roller)).rejects.toMatchObject({ code: '55000' })
    await roller.query(
      `INSERT INTO alert_count_state (settled_through, marked_through) VALUES ('-infinity', '-infinity')`,
    )
    // Of these, no count is told.
    await insert(other)
    await insert(other, '2026-03-10 14:30+00')
    expect(await closedHours(reader)).toEqual([])
    await expectExact()
    // The mark is set and settled before all hours are forgotten.
    while ((await rollUpStep(roller, 1))?.state === 'working') await expectExact()
    await rollUpAll(roller)
    expect(await closedHours(reader)).toEqual(ALL)
    await expectExact()
  })
})
