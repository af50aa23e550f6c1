import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { TestDatabase } from '../support/test-database.ts'

/** A plain client that ends with its block. */
export async function connectClient(
  connectionString: string,
): Promise<pg.Client & { [Symbol.asyncDispose](): Promise<void> }> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}

/** Registers a host by plain SQL. */
export async function insertHost(database: TestDatabase): Promise<string> {
  const rows = await database.sql(
    `INSERT INTO hosts (hostname) VALUES ('host-${randomUUID()}') RETURNING host_id`,
  )
  return String(rows[0]?.['host_id'])
}

/** Makes a month as ours are made, and fills it. */
export async function makeMonth(
  database: TestDatabase,
  month: string,
  hostId: string,
  rows: number,
): Promise<string> {
  await database.sql(`SELECT ensure_alert_partition('${month}-15T00:00:00Z')`)
  await insertAlerts(database, month, hostId, rows)
  return `alerts_y${month.replace('-', 'm')}`
}

/** Makes a month in the way that the first documents of this schema taught: by hand. */
export async function makeMonthByHand(database: TestDatabase, month: string, name: string): Promise<void> {
  await database.sql(
    `CREATE TABLE ${name} PARTITION OF alerts
     FOR VALUES FROM ('${month}-01 00:00:00+00') TO ('${firstOfNext(month)} 00:00:00+00')`,
  )
}

export async function insertAlerts(
  database: TestDatabase,
  month: string,
  hostId: string,
  rows: number,
): Promise<void> {
  await database.sql(`
    INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at)
    SELECT '${hostId}', now(), 'FILE', 'rule-' || n, jsonb_build_object('n', n, 'big', 9007199254740993), 'INFO',
           '${month}-10T00:00:00Z'::timestamptz + n * INTERVAL '1 second'
    FROM generate_series(1, ${rows}) AS n`)
}

function firstOfNext(month: string): string {
  const [year = 0, number = 0] = month.split('-').map(Number)
  return new Date(Date.UTC(year, number)).toISOString().slice(0, 10)
}

/** A number that tells two contents of a table apart, whatever the order of the rows. */
export async function contentOf(database: TestDatabase, table: string): Promise<unknown> {
  const rows = await database.sql(
    `SELECT count(*)::int AS rows, md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C"), '')) AS digest FROM ${table} AS t`,
  )
  return rows[0]
}

/** The names of the partitions of alerts, sorted. */
export async function partitionNames(database: TestDatabase): Promise<readonly string[]> {
  const rows = await database.sql(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'alerts'::regclass ORDER BY name`,
  )
  return rows.map(row => String(row['name']))
}

/** `2026-02` of so many months before or after the present one. */
export function monthFromNow(months: number): string {
  const now = new Date()
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months)).toISOString().slice(0, 7)
}

/** The name of a month's partition. */
export function partitionOf(month: string): string {
  return `alerts_y${month.replace('-', 'm')}`
}
