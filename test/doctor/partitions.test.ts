import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connectClient, insertAlerts, insertHost, makeMonthByHand } from '../partitions/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { carryOut, checkOf, examine, expectFoundAndMended, makeHealthy, problemsOf } from './support.ts'

const database = useTestDatabase()
let hostId: string

beforeAll(async () => {
  await makeHealthy(database)
  hostId = await insertHost(database)
})
afterEach(() => database.sql('DROP TABLE IF EXISTS by_hand, alerts_y2025m04'))

describe('F22: pending-detach', () => {
  it('is found until the detachment is finished', async () => {
    await database.sql(`SELECT ensure_alert_partition('2025-04-15Z')`)
    await insertAlerts(database, '2025-04', hostId, 5)
    await detachHalfWay('alerts_y2025m04')
    const found = await examine(database)
    expect(problemsOf(found)).toEqual(['pending-detach: alerts_y2025m04'])
    for (const { mend } of checkOf(found, 'pending-detach').findings) await carryOut(database, mend)
    // It is a table of its own now, which nobody asked to be taken out.
    const detached = await examine(database)
    expect(problemsOf(detached)).toEqual(['table-in-the-way: alerts_y2025m04'])
    for (const { mend } of checkOf(detached, 'table-in-the-way').findings) await carryOut(database, mend)
    await expectFoundAndMended(database, ['table-set-aside: alerts_set_aside.alerts_y2025m04'])
    expect(await database.sql('SELECT count(*)::int FROM alerts_y2025m04')).toEqual([{ count: 5 }])
  })
})

/** Begins DETACH CONCURRENTLY, and ends its session while it waits for a reader. */
async function detachHalfWay(name: string): Promise<void> {
  const isPending = async () =>
    (await database.sql(`SELECT FROM pg_inherits WHERE inhrelid = '${name}'::regclass AND inhdetachpending`))
      .length
  await using reader = await connectClient(database.directConnectionString)
  await reader.query('BEGIN')
  await reader.query('SELECT FROM alerts')
  await using detacher = await connectClient(database.directConnectionString)
  const { rows } = await detacher.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const cut = detacher
    .query(`ALTER TABLE alerts DETACH PARTITION ${name} CONCURRENTLY`)
    .catch(() => undefined)
  await expect.poll(isPending, { timeout: 20_000 }).toBe(1)
  await database.sql(`SELECT pg_terminate_backend(${rows[0]?.pid})`)
  await cut
}

describe('incomplete-partition', () => {
  const detailsOf = async () => {
    const [finding] = checkOf(await examine(database), 'incomplete-partition').findings
    return finding?.details
  }

  it('finds a month that was made by hand', async () => {
    await makeMonthByHand(database, '2025-04', 'by_hand')
    await insertAlerts(database, '2025-04', hostId, 100)
    expect(await detailsOf()).toEqual({ lacksUniqueIndex: true, lacksTriggers: true, duplicates: 0 })
    const found = await expectFoundAndMended(database, ['incomplete-partition: by_hand'])
    expect(checkOf(found, 'incomplete-partition').findings[0]).toMatchObject({
      message: expect.stringContaining('no alert stands in it twice'),
      mend: 'tripwire-storage partitions mend',
    })
  })

  it('finds a month with alerts that stand in it twice, and keeps the first of each', async () => {
    await makeMonthByHand(database, '2025-04', 'by_hand')
    await insertAlerts(database, '2025-04', hostId, 100)
    await database.sql(`
      INSERT INTO by_hand
      SELECT alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at + INTERVAL '1 hour'
      FROM by_hand
      WHERE rule_name IN ('rule-1', 'rule-2')`)
    expect(await detailsOf()).toMatchObject({ duplicates: 2 })
    const found = await expectFoundAndMended(database, ['incomplete-partition: by_hand'])
    expect(checkOf(found, 'incomplete-partition').findings[0]?.mend).toBe(
      'tripwire-storage partitions mend --remove-duplicates',
    )
    expect(await database.sql('SELECT count(*)::int FROM by_hand')).toEqual([{ count: 100 }])
  })

  it('finds a month without its triggers, and one with an index that was never finished', async () => {
    await database.sql(`
      SELECT ensure_alert_partition('2025-04-15Z');
      DROP TRIGGER alerts_check_resends ON alerts_y2025m04`)
    expect(await detailsOf()).toEqual({ lacksUniqueIndex: false, lacksTriggers: true, duplicates: 0 })
    await expectFoundAndMended(database, ['incomplete-partition: alerts_y2025m04'])
    await database.sql(
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'alerts_y2025m04_stored_once'::regclass`,
    )
    expect(await detailsOf()).toEqual({ lacksUniqueIndex: true, lacksTriggers: false, duplicates: 0 })
    await expectFoundAndMended(database, ['incomplete-partition: alerts_y2025m04'])
  })

  it('does not look through a large month, and says how to', async () => {
    await makeMonthByHand(database, '2025-04', 'by_hand')
    await database.sql(`
      INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at)
      SELECT '${hostId}', now(), 'FILE', 'rule', to_jsonb(repeat(md5(n::text), 40)), 'INFO',
             '2025-04-10Z'::timestamptz + n * INTERVAL '1 second'
      FROM generate_series(1, 15000) AS n`)
    const [finding] = checkOf(await examine(database), 'incomplete-partition').findings
    expect(finding).toMatchObject({ details: { duplicates: null } })
    const [, sql = ''] = /ask with: (SELECT .*)$/.exec(finding?.message ?? '') ?? []
    expect(await database.sql(sql)).toEqual([])
    await expectFoundAndMended(database, ['incomplete-partition: by_hand'])
  })
})
