import type { TestDatabase } from '../../support/test-database.ts'

export const HOSTS = 200
export const RULES = 50

/** The hosts that have alerts, from 0; others have none. */
export function hostOf(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
}

/** Months that end before the tests begin to write. */
export const MONTHS = ['2025-10-01', '2025-11-01', '2025-12-01'] as const

/**
 * Fills months with alerts, evenly over 28 days: 90 % INFO, 9 % WARN, 1 % CRITICAL, of 200 hosts and 50 rules, one in 500 received
 * two days after it was sensed. What some ask for and
 * nobody has: the type NETWORK, a severity but INFO of host 0, the rule `rule-0` on host 1.
 */
export async function fillMonths(database: TestDatabase, alertsPerMonth: number): Promise<void> {
  for (const month of MONTHS) await fillMonth(database, month, alertsPerMonth)
  await database.sql(`
    INSERT INTO hosts (host_id, hostname)
    SELECT DISTINCT host_id, 'host ' || host_id
    FROM alerts`)
  // The visibility of rows and the statistics are as they are a while after a day's alerts came.
  await database.sql('VACUUM (ANALYZE) alerts')
}

/** A table that becomes a partition when it is full: indexes are built at once in a fraction of the time. */
async function fillMonth(database: TestDatabase, month: string, alerts: number): Promise<void> {
  const partition = partitionOf(month)
  const step = `INTERVAL '28 days' / ${alerts}`
  await database.sql(`
    CREATE TABLE ${partition} (LIKE alerts INCLUDING DEFAULTS);
    SELECT setseed(0.5);
    INSERT INTO ${partition}
    SELECT
      gen_random_uuid(),
      ('00000000-0000-4000-8000-' || lpad(host::text, 12, '0'))::uuid,
      '${month} 00:00:00+00'::timestamptz + n * ${step}
        - CASE WHEN n % 500 = 0 THEN INTERVAL '2 days' ELSE INTERVAL '3 seconds' END,
      (ARRAY['FILE', 'PROCESS'])[1 + n % 2]::tripwire_type,
      'rule-' || CASE WHEN host = 1 THEN 1 + n % ${RULES - 1} ELSE n * 7 % ${RULES} END,
      jsonb_build_object('path', '/etc/file-' || n % 256, 'uid', n % 256),
      CASE WHEN host = 0 OR share >= 10 THEN 'INFO' WHEN share >= 1 THEN 'WARN' ELSE 'CRITICAL' END::severity_level,
      '${month} 00:00:00+00'::timestamptz + n * ${step}
    FROM (
      SELECT
        n,
        (random() * ${HOSTS})::int % ${HOSTS} AS host,
        random() * 100 AS share
      FROM generate_series(1, ${alerts}) AS n
    ) AS made;
    ALTER TABLE alerts
    ATTACH PARTITION ${partition}
    FOR VALUES FROM ('${month} 00:00:00+00') TO ('${month} 00:00:00+00'::timestamptz + INTERVAL '1 month');
    SELECT complete_alert_partition('${partition}')`)
}

export function partitionOf(month: string): string {
  return `alerts_y${month.slice(0, 7).replace('-', 'm')}`
}
