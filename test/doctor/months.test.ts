import { beforeAll, describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { checkOf, examine, expectFoundAndMended, makeHealthy, monthAhead, problemsOf } from './support.ts'

const database = useTestDatabase()
const HOST = '7d9f6c1e-0000-4000-8000-000000000001'

beforeAll(async () => {
  await makeHealthy(database)
  await database.sql(`INSERT INTO hosts (host_id, hostname) VALUES ('${HOST}', 'web-1')`)
})

/** An alert by another client. */
const insert = (receivedAt: string, alertId = 'gen_random_uuid()', table = 'alerts') =>
  database.sql(`
    INSERT INTO ${table} (alert_id, host_id, timestamp, tripwire_type, rule_name, severity, received_at)
    VALUES (${alertId}, '${HOST}', '2026-01-01Z', 'FILE', 'rule', 'INFO', ${receivedAt})`)

const countAlerts = async () =>
  (await database.sql('SELECT count(*)::int AS count FROM alerts'))[0]?.['count']

describe('F23: missing-month and short-horizon', () => {
  it('find that this month is missing, and the horizon is gone', async () => {
    await database.sql(`DROP TABLE ${monthAhead(0).name}`)
    const found = await expectFoundAndMended(database, [
      `missing-month: ${monthAhead(0).month}`,
      'short-horizon: null',
    ])
    expect(checkOf(found, 'short-horizon').details).toMatchObject({ horizonDays: 0 })
  })

  it('find a hole between months, and how far it goes', async () => {
    await database.sql(`DROP TABLE ${monthAhead(1).name}, ${monthAhead(2).name}`)
    const found = await examine(database, { minHorizonDays: 0 })
    expect(checkOf(found, 'missing-month').findings).toMatchObject([
      {
        subject: `${monthAhead(1).month} to ${monthAhead(2).month}`,
        mend: 'tripwire-storage partitions ensure',
        details: { from: monthAhead(1).from, to: monthAhead(2).to },
      },
    ])
    await expectFoundAndMended(
      database,
      [`missing-month: ${monthAhead(1).month} to ${monthAhead(2).month}`],
      { minHorizonDays: 0 },
    )
  })

  it('always tell the horizon, and name as many months ahead as are wanted', async () => {
    const horizon = checkOf(await examine(database), 'short-horizon')
    expect(horizon).toMatchObject({ status: 'ok', details: { until: monthAhead(4).from } })
    expect(horizon.details['horizonDays']).toBeGreaterThan(85)
    const found = await expectFoundAndMended(database, ['short-horizon: null'], { minHorizonDays: 200 })
    expect(checkOf(found, 'short-horizon').findings[0]?.mend).toMatch(/ensure --months-ahead [678]$/)
  })

  it('find a hole beyond the months that are made by default', async () => {
    await database.sql(`DROP TABLE ${monthAhead(5).name}`)
    const found = await expectFoundAndMended(database, [`missing-month: ${monthAhead(5).month}`])
    expect(checkOf(found, 'missing-month').findings[0]?.mend).toBe(
      'tripwire-storage partitions ensure --months-ahead 5',
    )
  })
})

describe('default-partition', () => {
  it('is found with its alerts, which come into their months, the impossible ones into this one', async () => {
    await database.sql(`DROP TABLE alerts_y2026m02; CREATE TABLE "the rest" PARTITION OF alerts DEFAULT`)
    const before = await countAlerts()
    for (const moment of ["'2026-02-10Z'", "'2025-07-31 23:59:59.999999Z'", "'infinity'", "'1970-01-01Z'"]) {
      await insert(moment, 'gen_random_uuid()', '"the rest"')
    }
    const found = await expectFoundAndMended(database, [
      'default-partition: the rest',
      'far-future: the rest',
    ])
    expect(checkOf(found, 'default-partition').findings[0]).toMatchObject({
      message: expect.stringContaining('holds 4 alerts'),
      details: { rows: 4, isExact: true },
    })
    expect(await countAlerts()).toBe(Number(before) + 4)
    expect(
      await database.sql(
        `SELECT tableoid::regclass::text AS month, count(*)::int FROM alerts GROUP BY 1 ORDER BY 1`,
      ),
    ).toEqual([
      { month: 'alerts_y2025m07', count: 1 },
      { month: 'alerts_y2026m02', count: 1 },
      { month: monthAhead(0).name, count: 2 },
    ])
  })
})

describe('F24: misaligned-partition', () => {
  it('finds months whose bounds were written in the time zone of a session, and the hole that they leave', async () => {
    await database.sql(`DROP TABLE alerts_y2025m07`)
    await database.sql(`
      CREATE TABLE alerts_y2025m06 PARTITION OF alerts FOR VALUES FROM ('2025-06-01+02') TO ('2025-07-01+02');
      CREATE TABLE alerts_y2025m07 PARTITION OF alerts FOR VALUES FROM ('2025-07-01+02') TO ('2025-08-01+02')`)
    const before = await countAlerts()
    await insert("'2025-06-30 22:30:00Z'")
    await insert("'2025-06-30 21:30:00Z'")
    const all = [
      'incomplete-partition: alerts_y2025m06',
      'incomplete-partition: alerts_y2025m07',
      'misaligned-partition: alerts_y2025m06',
      'misaligned-partition: alerts_y2025m07',
    ]
    const found = await expectFoundAndMended(database, all)
    expect(checkOf(found, 'misaligned-partition').findings[0]?.message).toContain(
      '2025-05-31T22:00:00.000000Z to 2025-06-30T22:00:00.000000Z',
    )
    expect(await countAlerts()).toBe(Number(before) + 2)
    expect(await database.sql(`SELECT count(*)::int FROM alerts_y2025m06`)).toEqual([{ count: 2 }])
    // The months made anew refuse resends.
    expect(
      await database.sql(`SELECT bool_and(is_complete AND is_month) AS sound FROM list_alert_partitions()`),
    ).toEqual([{ sound: true }])
  })
})

describe('table-in-the-way and table-set-aside', () => {
  const putAside = async (found: string) => {
    const diagnosis = await examine(database)
    expect(problemsOf(diagnosis)).toEqual([found])
    for (const { mend } of checkOf(diagnosis, 'table-in-the-way').findings) await database.sql(mend)
  }

  it('finds a month that somebody detached, which can be put aside or attached again', async () => {
    await database.sql(`ALTER TABLE alerts DETACH PARTITION alerts_y2025m06`)
    const [finding] = checkOf(await examine(database), 'table-in-the-way').findings
    expect(finding).toMatchObject({ subject: 'alerts_y2025m06', details: { kind: 'table' } })
    await database.sql(String(finding?.details['attach']))
    expect(checkOf(await examine(database), 'table-in-the-way').status).toBe('ok')
    await database.sql(`ALTER TABLE alerts DETACH PARTITION alerts_y2025m06`)
    await putAside('table-in-the-way: alerts_y2025m06')
    // The month can be made, with everything that belongs to it.
    await database.sql(`SELECT ensure_alert_partition('2025-06-15Z')`)
    expect(
      await database.sql(
        `SELECT is_complete FROM list_alert_partitions() WHERE partition_name = 'alerts_y2025m06'`,
      ),
    ).toEqual([{ is_complete: true }])
    const before = Number(await countAlerts())
    await expectFoundAndMended(database, ['table-set-aside: alerts_set_aside.alerts_y2025m06'])
    expect(await countAlerts()).toBe(before + 2)
  })

  it('finds a view of that name, and leaves alone what is named otherwise or is on its way out', async () => {
    await database.sql(`
      CREATE VIEW alerts_y2025m01 AS SELECT 1 AS one;
      CREATE TABLE alerts_y2025m13 ();
      CREATE TABLE alerts_y2025m010 ();
      CREATE TABLE my_alerts_y2025m01 ();
      SELECT ensure_alert_partition('2024-03-01Z');
      INSERT INTO alert_partition_retirements (partition_name, range_from, range_to)
      VALUES ('alerts_y2024m03', '2024-03-01Z', '2024-04-01Z');
      ALTER TABLE alerts DETACH PARTITION alerts_y2024m03`)
    await expectFoundAndMended(database, ['table-in-the-way: alerts_y2025m01'])
  })
})

describe('F12: far-future', () => {
  it('finds a partition that a slip of the finger made, and it asks for no month before it', async () => {
    await database.sql(`
      CREATE TABLE alerts_y2206m01 PARTITION OF alerts FOR VALUES FROM ('2206-01-01Z') TO ('2206-02-01Z');
      CREATE TABLE alerts_y20206m01 PARTITION OF alerts FOR VALUES FROM ('20206-01-01Z') TO ('20206-02-01Z');
      SELECT complete_alert_partition('alerts_y2206m01'), complete_alert_partition('alerts_y20206m01')`)
    await insert("'2206-01-05Z'")
    const before = await countAlerts()
    await expectFoundAndMended(database, [
      'far-future: alerts_y2206m01',
      'far-future: alerts_y2206m01',
      'far-future: alerts_y20206m01',
    ])
    expect(await countAlerts()).toBe(before)
  })

  it('drops nothing when an alert in it cannot be brought back', async () => {
    await database.sql(`
      CREATE TABLE alerts_y2207m01 PARTITION OF alerts FOR VALUES FROM ('2207-01-01Z') TO ('2207-02-01Z');
      SELECT complete_alert_partition('alerts_y2207m01')`)
    const id = `'7d9f6c1e-0000-4000-8000-00000000aaaa'`
    await insert('now()', id)
    await insert("'2207-01-05Z'", id)
    const found = checkOf(await examine(database), 'far-future').findings
    for (const { mend } of found) {
      await expect(database.sql(mend)).rejects.toMatchObject({ code: '23505' })
    }
    expect(checkOf(await examine(database), 'far-future').findings).toEqual(found)
    await database.sql(`DELETE FROM alerts WHERE received_at > '2207-01-01Z'`)
    await expectFoundAndMended(database, ['far-future: alerts_y2207m01'])
  })

  it('finds alerts ahead of the time in a month that is there, with their number', async () => {
    await insert(`'${monthAhead(2).from}'::timestamptz + INTERVAL '1 day'`)
    await insert(`'${monthAhead(2).from}'::timestamptz + INTERVAL '2 days'`)
    const found = await expectFoundAndMended(database, [`far-future: ${monthAhead(2).name}`])
    expect(checkOf(found, 'far-future').findings[0]).toMatchObject({ details: { alerts: 2 } })
  })

  it('takes the months that the maintenance was told to make for what they are', async () => {
    await database.sql('SELECT * FROM ensure_alert_partitions(24)')
    expect(checkOf(await examine(database), 'far-future').status).toBe('ok')
    // A hole among them is found, too.
    await database.sql(`DROP TABLE ${monthAhead(20).name}`)
    await expectFoundAndMended(database, [`missing-month: ${monthAhead(20).month}`])
  })

  it('a partition without an upper bound is a horizon without an end', async () => {
    await database.sql(`
      DROP TABLE ${monthAhead(24).name};
      CREATE TABLE rest PARTITION OF alerts FOR VALUES FROM ('${monthAhead(24).from}') TO (MAXVALUE)`)
    const diagnosis = await examine(database)
    expect(checkOf(diagnosis, 'short-horizon')).toMatchObject({
      status: 'ok',
      details: { horizonDays: null, until: 'infinity' },
    })
    expect(checkOf(diagnosis, 'missing-month').status).toBe('ok')
  })
})
