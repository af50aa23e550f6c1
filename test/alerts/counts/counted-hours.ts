/** A partition of a few hours, and whether its counts are those of its rows. */
import { Client, type ClientBase } from 'pg'
import { beforeAll, expect, vi } from 'vitest'
import { listClosedPartitions } from '../../../src/alerts/counts/closed-partitions.ts'
import { countAlertsSql } from '../../../src/alerts/counts/exact-counts.ts'
import { type Store, TIMELINE_GROUPS, type TimelineGroup } from '../../../src/index.ts'
import { runnerOfCaller } from '../../../src/pg/caller-client.ts'
import type { TestDatabase } from '../../support/test-database.ts'

/** Its partition holds these hours, and no other partition is there. */
export const HOURS = [10, 11, 12, 13, 14, 15].map(hour => `2026-03-10T${hour}:00:00.000000Z`)
export const SPAN = { from: '2026-03-10T10:00:00.000000Z', to: '2026-03-10T16:00:00.000000Z' }
export const PARTITION = 'alerts_six_hours'
/** It is not attached at first, and holds the same hours. */
export const OTHER_PARTITION = 'alerts_same_hours'
export const attach = (partition = PARTITION) =>
  `ALTER TABLE alerts ATTACH PARTITION ${partition} FOR VALUES FROM ('2026-03-10 10:00+00') TO ('2026-03-10 16:00+00')`
export const detach = (partition = PARTITION) => `ALTER TABLE alerts DETACH PARTITION ${partition}`
export const COUNTED_HOSTS = ['a', 'b', 'c'].map(digit => `${digit.repeat(8)}-0000-4000-8000-000000000000`)

/** Makes the partitions, complete, and hosts to write for. */
export function useCountedHours(database: TestDatabase): void {
  beforeAll(async () => {
    await database.sql(`
      DO $$
      DECLARE
        v_partition REGCLASS;
      BEGIN
        FOR v_partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'alerts'::regclass LOOP
          EXECUTE format('DROP TABLE %s', v_partition);
        END LOOP;
      END
      $$;
      CREATE TABLE ${PARTITION} (LIKE alerts INCLUDING ALL);
      CREATE TABLE ${OTHER_PARTITION} (LIKE alerts INCLUDING ALL);
      SELECT complete_alert_partition('${PARTITION}');
      SELECT complete_alert_partition('${OTHER_PARTITION}');
      ${attach()};
      INSERT INTO hosts (host_id, hostname)
      SELECT id::uuid, id
      FROM unnest(ARRAY['${COUNTED_HOSTS.join(`', '`)}']) AS id`)
  })
}

export async function connectTo(database: TestDatabase): Promise<Client> {
  const client = new Client({ connectionString: database.directConnectionString })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

export interface RollUpStep {
  readonly state: string
  readonly closed_hours: number
  readonly forgotten_hours: number
  readonly merged_hours: number
}

export async function rollUpStep(client: ClientBase, maxHours = 24): Promise<RollUpStep | undefined> {
  const { rows } = await client.query<RollUpStep>('SELECT * FROM roll_up_alert_hours($1)', [maxHours])
  return rows[0]
}

/** Until nothing is left to do, or somebody has to be waited for. */
export async function rollUp(client: ClientBase): Promise<string | undefined> {
  for (;;) {
    const step = await rollUpStep(client)
    if (step?.state !== 'working') return step?.state
  }
}

/** As if the mark had never been set later than this: the next steps set it anew, beside the writers that are at work. */
export async function lowerMark(client: ClientBase, to: string): Promise<void> {
  await client.query(`
    BEGIN;
    SELECT FROM alert_count_state FOR UPDATE;
    DELETE FROM rolled_alert_hours WHERE hour >= '${to}';
    UPDATE alert_count_state
    SET
      settled_through = least(settled_through, '${to}'),
      marked_through = '${to}',
      marked_by = pg_current_xact_id(),
      wait_for = NULL;
    COMMIT`)
}

const PATIENCE = { timeout: 60_000, interval: 10 }

/** Until nothing is left to do. Transactions of other databases of the server, those of other tests, are waited for as well. */
export async function rollUpAll(client: ClientBase): Promise<void> {
  await vi.waitFor(async () => expect(await rollUp(client)).toBe('done'), PATIENCE)
}

/** The same by a store. */
export async function rollUpCounts(store: Store): Promise<void> {
  await vi.waitFor(async () => expect((await store.rollUpAlertCounts()).state).toBe('done'), PATIENCE)
}

export async function closedHours(client: ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ hour: string }>(
    `SELECT to_char(hour AT TIME ZONE 'UTC', 'HH24') AS hour FROM list_closed_alert_hours('-infinity', 'infinity') ORDER BY 1`,
  )
  return rows.map(({ hour }) => hour)
}

const COLUMN_OF = {
  severity: 'severity',
  tripwireType: 'tripwire_type',
  hostId: 'host_id',
  ruleName: 'rule_name',
} as const

export interface CountsAndRows {
  readonly counts: readonly unknown[]
  readonly rows: readonly unknown[]
}

/**
 * What the counts say and what the rows say in one snapshot, by groups and hours, and over the whole span; asked as the library asks.
 * @param meanwhile happens after the partitions were asked for, and before anything is counted.
 */
export async function countsAndRows(
  client: ClientBase,
  groups: readonly TimelineGroup[] = TIMELINE_GROUPS,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<CountsAndRows> {
  const counts: unknown[] = []
  const rows: unknown[] = []
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY')
  const partitions = await listClosedPartitions(runnerOfCaller('client', client), SPAN.from, SPAN.to)
  await meanwhile()
  for (const groupBy of groups) {
    for (const bucket of ['hour', null] as const) {
      const { sql, values } = countAlertsSql({ ...SPAN, bucket, groupBy, severities: null }, partitions)
      const { rows: compared } = await client.query<CountsAndRows>(compareSql(sql, bucket, groupBy), [
        ...values,
      ])
      for (const each of compared) {
        counts.push(...each.counts)
        rows.push(...each.rows)
      }
    }
  }
  await client.query('COMMIT')
  return { counts, rows }
}

/** One statement, because each has a snapshot of its own. */
function compareSql(countSql: string, bucket: 'hour' | null, groupBy: TimelineGroup): string {
  return `
    WITH ${countSql},
    summed AS (
      SELECT bucket, value, sum(alerts) AS alerts
      FROM counted
      GROUP BY bucket, value
      HAVING sum(alerts) <> 0
    ),
    found AS (
      SELECT
        ${bucket === null ? 'NULL::timestamptz' : `date_trunc('hour', received_at, 'UTC')`} AS bucket,
        ${COLUMN_OF[groupBy]}::text AS value,
        count(*) AS alerts
      FROM alerts
      WHERE received_at >= $1::timestamptz
        AND received_at < $2::timestamptz
      GROUP BY 1, 2
    )
    SELECT
      (SELECT coalesce(json_agg(summed ORDER BY bucket, value), '[]') FROM summed) AS counts,
      (SELECT coalesce(json_agg(found ORDER BY bucket, value), '[]') FROM found) AS rows`
}
