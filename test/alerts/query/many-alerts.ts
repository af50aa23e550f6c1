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
 * Fills months with alerts, evenly over 28 days: 90 % INFO, 9 % WARN, 1 % CRITICAL, of 200 hosts and 50 rules. What some ask for and
 * nobody has: the type NETWORK, a severity but INFO of host 0, the rule `rule-0` on host 1.
 */
export async function fillMonths(database: TestDatabase, alertsPerMonth: number): Promise<void> {
  for (const month of MONTHS) {
    await database.sql(`
      SELECT ensure_alert_partition('${month} 00:00:00+00');
      -- The triggers have tests of their own.
      SET session_replication_role = replica;
      SELECT setseed(0.5);
      INSERT INTO alerts
      SELECT
        gen_random_uuid(),
        ('00000000-0000-4000-8000-' || lpad(host::text, 12, '0'))::uuid,
        '${month} 00:00:00+00'::timestamptz + n * INTERVAL '28 days' / ${alertsPerMonth},
        (ARRAY['FILE', 'PROCESS'])[1 + n % 2]::tripwire_type,
        'rule-' || CASE WHEN host = 1 THEN 1 + n % ${RULES - 1} ELSE n * 7 % ${RULES} END,
        jsonb_build_object('path', '/etc/file-' || n % 256, 'uid', n % 256),
        CASE WHEN host = 0 OR share >= 10 THEN 'INFO' WHEN share >= 1 THEN 'WARN' ELSE 'CRITICAL' END::severity_level,
        '${month} 00:00:00+00'::timestamptz + n * INTERVAL '28 days' / ${alertsPerMonth}
      FROM (
        SELECT
          n,
          (random() * ${HOSTS})::int % ${HOSTS} AS host,
          random() * 100 AS share
        FROM generate_series(1, ${alertsPerMonth}) AS n
      ) AS made`)
  }
  await database.sql(`
    INSERT INTO hosts (host_id, hostname)
    SELECT DISTINCT host_id, 'host ' || host_id
    FROM alerts`)
  // The visibility of rows and the statistics are as they are a while after a day's alerts came.
  await database.sql('VACUUM (ANALYZE) alerts')
}
