import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectClient } from '../../partitions/fixtures.ts'
import { newAlert, newHost, openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { rollUpCounts } from './counted-hours.ts'

const database = useTestDatabase()
const RECIPE = readFileSync(new URL('../../../db/roles.sql', import.meta.url), 'utf8')
const SPAN = { from: '2026-02-01T00:00:00Z', to: '2026-03-01T00:00:00Z' }
const suffix = randomUUID().slice(0, 8)
const [stranger, server] = [`stranger_${suffix}`, `server_${suffix}`]
let hostId: string

function urlOf(login: string): string {
  const url = new URL(database.connectionString)
  url.username = login
  url.password = 'p'
  return url.toString()
}

beforeAll(async () => {
  await database.sql(RECIPE)
  await database.sql(`
    CREATE ROLE ${stranger} LOGIN PASSWORD 'p';
    GRANT INSERT, SELECT ON alerts TO ${stranger};
    GRANT SELECT ON hosts TO ${stranger};
    GRANT TEMPORARY ON DATABASE ${database.name} TO ${stranger};
    CREATE ROLE ${server} LOGIN PASSWORD 'p' IN ROLE tripwire_writer, tripwire_reader`)
  await using store = await openStore(database)
  hostId = await newHost(store)
  await store.insertAlerts([newAlert(hostId, { receivedAt: '2026-02-10T10:15:00Z' })])
  await rollUpCounts(store)
})
afterAll(async () => {
  await database.sql(`DROP OWNED BY ${stranger}, ${server}; DROP ROLE ${stranger}, ${server}`)
  await database.sql('DROP OWNED BY tripwire_writer, tripwire_reader')
})

const insertLate = (client: Client) =>
  client.query(
    `INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
     VALUES ($1, now(), 'FILE', 'late', 'INFO', '2026-02-10T10:45:00Z')`,
    [hostId],
  )

it('a role without any right to the counts writes alerts, and these are counted', async () => {
  await using client = await connectClient(urlOf(stranger))
  // It cannot put a state of its own in the place of ours, either.
  await client.query(`
    CREATE TEMPORARY TABLE alert_count_state AS SELECT '-infinity'::timestamptz AS marked_through;
    SET search_path = pg_temp, public`)
  await insertLate(client)
  await using store = await openStore(database)
  expect(await store.alertTimeline({ ...SPAN, bucket: 'month' })).toMatchObject([{ alerts: 2 }])
  expect(await store.checkAlertCounts()).toMatchObject({ wrongHours: 0 })
})

it.each([
  'SELECT * FROM roll_up_alert_hours()',
  'SELECT reopen_alert_hours(ARRAY[now()])',
  'SELECT * FROM alert_hour_counts',
  `SELECT close_alert_hours('alerts_y2026m02'::regclass, ARRAY[now()])`,
  'SELECT merge_alert_hour_counts(10)',
  'CREATE TEMPORARY TABLE mine (LIKE alerts); CREATE TRIGGER mine AFTER INSERT ON mine EXECUTE FUNCTION alerts_count_changes()',
])('it may not: %s', async sql => {
  await using client = await connectClient(urlOf(stranger))
  await expect(client.query(sql)).rejects.toMatchObject({ code: '42501' })
})

it('a server with the roles of the recipe counts, and reads timelines', async () => {
  await using store = await openStore({ connectionString: urlOf(server) })
  await database.sql('SELECT reopen_alert_hours(array_agg(hour)) FROM rolled_alert_hours')
  await rollUpCounts(store)
  expect(await store.alertTimeline({ ...SPAN, bucket: 'month' })).toMatchObject([{ alerts: 2 }])
  expect(await store.topAlertHosts(SPAN)).toEqual([{ hostId, alerts: 2 }])
  expect(await store.checkAlertCounts()).toMatchObject({ hours: 672, wrongHours: 0 })
})

/** A month that the owner of alerts may read, with a policy that writes down as whom it was asked, and hides all. */
async function giveAway(table: string, other: string): Promise<void> {
  await database.sql(`
    CREATE ROLE ${other};
    CREATE SCHEMA ${other} AUTHORIZATION ${other};
    ALTER TABLE ${table} OWNER TO ${other};
    SET ROLE ${other};
    GRANT SELECT ON ${table} TO PUBLIC;
    CREATE TABLE ${other}.asked (who TEXT);
    GRANT USAGE ON SCHEMA ${other} TO PUBLIC;
    GRANT INSERT ON ${other}.asked TO PUBLIC;
    CREATE FUNCTION ${other}.ask() RETURNS BOOLEAN LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO ${other}.asked VALUES (current_user); RETURN false; END $$;
    ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY ask ON ${table} USING (${other}.ask());
    RESET ROLE`)
}

describe('a month that belongs to another role', () => {
  const [owner, other] = [`owner_${suffix}`, `other_${suffix}`]
  beforeAll(async () => {
    await database.sql(`
      SELECT ensure_alert_partition('2026-01-10Z');
      CREATE ROLE ${owner} LOGIN PASSWORD 'p';
      GRANT ALL ON SCHEMA public TO ${owner}`)
    await database.sql(`
      DO $do$
      DECLARE
        v_command TEXT;
      BEGIN
        FOR v_command IN
          SELECT format('ALTER TABLE %s OWNER TO ${owner}', oid::regclass)
          FROM pg_class
          WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
          UNION ALL
          SELECT format('ALTER FUNCTION %s OWNER TO ${owner}', oid::regprocedure)
          FROM pg_proc
          WHERE pronamespace = 'public'::regnamespace
        LOOP
          EXECUTE v_command;
        END LOOP;
      END
      $do$`)
    await giveAway('alerts_y2026m01', other)
  })
  afterAll(async () => {
    await database.sql(
      `REASSIGN OWNED BY ${owner} TO CURRENT_USER; DROP OWNED BY ${owner}; DROP ROLE ${owner}`,
    )
    await database.sql(`DROP OWNED BY ${other} CASCADE; DROP ROLE ${other}`)
  })

  it('is read and not counted, and nothing of that role runs as the owner of alerts', async () => {
    await using store = await openStore({ connectionString: urlOf(owner) })
    const alert = newAlert(hostId, { receivedAt: '2026-01-30T10:15:00Z' })
    await store.insertAlerts([alert])
    await rollUpCounts(store)
    const months = { from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:00Z', bucket: 'month' } as const
    expect(await store.alertTimeline(months)).toMatchObject([{ alerts: 1 }])
    // Sent again after the edge of the month: the other month is not asked.
    await store.insertAlerts([{ ...alert, receivedAt: '2026-02-01T10:15:00Z' }])
    expect(await database.sql(`SELECT who FROM ${other}.asked`)).toEqual([])
  })
})
