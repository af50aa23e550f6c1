/** Months of alerts that are filled, detached and compared by plain SQL. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { ArchiveRequest } from '../../src/partitions/archive/write-archive.ts'
import { Database } from '../../src/pg/database.ts'
import type { TestDatabase } from '../support/test-database.ts'
import { startWireProxy, type WireProxy } from '../support/wire-proxy.ts'

export const SCHEMA_VERSION = 10

/** Closed when the test ends. */
export function openDatabase(through: { readonly connectionString: string }): Database {
  const db = new Database({
    connectionString: through.connectionString,
    maxConnections: 4,
    connectTimeoutMs: 10_000,
    applicationName: 'archive test',
  })
  onTestFinished(() => db.close())
  return db
}

/** Between the database and what is opened later. Closed when the test ends. */
export async function openProxy(through: { readonly connectionString: string }): Promise<WireProxy> {
  const proxy = await startWireProxy({ target: through.connectionString })
  onTestFinished(() => proxy.close())
  return proxy
}

/** A folder of its own, which goes with the test. */
export async function archiveFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tripwire-archive-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface TestMonth {
  readonly table: string
  readonly from: string
  readonly to: string
}

let months = 0

/** A month that no other test of the file uses. It has no partition yet. */
export function nextMonth(): TestMonth {
  const at = (number: number) =>
    `${2001 + Math.floor(number / 12)}-${String((number % 12) + 1).padStart(2, '0')}`
  const month = months++
  return {
    table: `alerts_y${at(month).replace('-', 'm')}`,
    from: `${at(month)}-01T00:00:00.000000Z`,
    to: `${at(month + 1)}-01T00:00:00.000000Z`,
  }
}

/** The SQL that fills a month with alerts of every kind, of these hosts, over all of its time. */
export function fillMonth({ table, from, to }: TestMonth, count: number, hostIds: readonly string[]): string {
  const hosts = hostIds.map(id => `'${id}'`).join(', ')
  return `
    INSERT INTO ${table} (alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at)
    SELECT
      gen_random_uuid(),
      (ARRAY[${hosts}]::uuid[])[1 + n % ${hostIds.length}],
      '${from}'::timestamptz + n * INTERVAL '1.000001 seconds',
      (ARRAY['FILE', 'NETWORK', 'PROCESS'])[1 + n % 3]::tripwire_type,
      'rule "' || n % 50 || '" \\ ☃',
      CASE n % 5
        WHEN 0 THEN NULL
        WHEN 1 THEN 'null'::jsonb
        WHEN 2 THEN jsonb_build_object('pid', n, 'exact', 9007199254740993.10, 'path', '/tmp/' || n)
        WHEN 3 THEN '"text"'::jsonb
        ELSE jsonb_build_array(n, repeat('x', n % 700))
      END,
      (ARRAY['INFO', 'WARN', 'CRITICAL'])[1 + n % 3]::severity_level,
      '${from}'::timestamptz + n * (('${to}'::timestamptz - '${from}'::timestamptz) / ${count + 1})
    FROM generate_series(1, ${count}) AS n`
}

/** Registers hosts and returns their ids. */
export async function newHosts(database: TestDatabase, count: number): Promise<readonly string[]> {
  const rows = await database.sql(
    `INSERT INTO hosts (hostname) SELECT 'web-' || gen_random_uuid() FROM generate_series(1, ${count}) RETURNING host_id`,
  )
  return rows.map(row => String(row['host_id']))
}

/** Makes a month with alerts of two hosts and detaches it. */
export async function detachedMonth(database: TestDatabase, count: number): Promise<TestMonth> {
  const month = nextMonth()
  await database.sql(`SELECT ensure_alert_partition('${month.from}')`)
  if (count > 0) await database.sql(fillMonth(month, count, await newHosts(database, 2)))
  await database.sql(`ALTER TABLE alerts DETACH PARTITION ${month.table}`)
  return month
}

/** One alert, in SQL's own words: `detail` is an expression. */
export async function insertAlert(
  database: Pick<TestDatabase, 'sql'>,
  table: string,
  alert: {
    readonly alertId: string
    readonly hostId: string
    readonly receivedAt: string
    readonly ruleName?: string
    readonly detail?: string
  },
): Promise<void> {
  const { alertId, hostId, receivedAt, ruleName = 'etc-passwd', detail = 'NULL' } = alert
  await database.sql(`
    ALTER TABLE ${table} DISABLE TRIGGER USER;
    INSERT INTO ${table} (alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at)
    VALUES ('${alertId}', '${hostId}', '${receivedAt}', 'FILE', '${ruleName}', ${detail}, 'WARN', '${receivedAt}')`)
}

/** Every column of every row, as PostgreSQL writes it as text and as it sends it in binary form. */
export async function imageOf(database: TestDatabase, table: string): Promise<unknown> {
  const [image] = await database.sql(`
    SELECT
      count(*)::int AS rows,
      md5(string_agg(rows::text, E'\\n' ORDER BY rows::text COLLATE "C")) AS text,
      md5(string_agg(record_send(rows), '' ORDER BY rows::text COLLATE "C")) AS binary
    FROM (
      SELECT alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at
      FROM ${table}
    ) AS rows`)
  return image
}

export async function tableExists(database: TestDatabase, table: string): Promise<boolean> {
  const [row] = await database.sql(`SELECT to_regclass('${table}') IS NOT NULL AS exists`)
  return row?.['exists'] === true
}

export async function isPartition(database: TestDatabase, table: string): Promise<boolean> {
  const rows = await database.sql(
    `SELECT FROM pg_inherits WHERE inhparent = 'alerts'::regclass AND inhrelid = to_regclass('${table}')`,
  )
  return rows.length === 1
}

export function archiveRequest(month: TestMonth, archiveDir: string): ArchiveRequest {
  return { ...month, archiveDir, schemaVersion: SCHEMA_VERSION }
}

/** Rejects unless `promise` is rejected with this code. */
export async function expectCode(promise: Promise<unknown>, code: string): Promise<void> {
  await expect(promise).rejects.toMatchObject({ code })
}
