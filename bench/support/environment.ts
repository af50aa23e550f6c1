import { cpus } from 'node:os'
import type pg from 'pg'
import type { BenchAlert } from './bench-alert.ts'
import type { BenchDatabase } from './bench-database.ts'
import type { BenchServer } from './bench-server.ts'
import { grouped } from './table.ts'

/** What a figure means nothing without. */
export interface ServerEnvironment {
  readonly node: string
  readonly postgres: string
  readonly origin: string
  readonly cores: number
  readonly processor: string
  readonly settings: Readonly<Record<string, string>>
}

/** The same for figures of alerts. */
export interface Environment extends ServerEnvironment {
  /** The means of a sample of alerts, in bytes. */
  readonly rowBytes: { readonly eventDetail: number; readonly stored: number }
  readonly notes: readonly string[]
}

const SETTINGS = [
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'shared_buffers',
  'max_wal_size',
] as const

export async function describeServer(server: BenchServer, client: pg.Client): Promise<ServerEnvironment> {
  const settings = await client.query<{ name: string; value: string }>(
    'SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name',
    [[...SETTINGS]],
  )
  const { rows } = await client.query<{ version: string }>(
    `SELECT current_setting('server_version') AS version`,
  )
  const processors = cpus()
  return {
    node: process.version,
    postgres: rows[0]?.version ?? 'unknown',
    origin: server.origin,
    cores: processors.length,
    processor: processors[0]?.model ?? 'unknown',
    settings: Object.fromEntries(settings.rows.map(({ name, value }) => [name, value])),
  }
}

/** @param stored alerts that stand in the table. */
export async function describeEnvironment(
  server: BenchServer,
  { client }: BenchDatabase,
  stored: readonly BenchAlert[],
): Promise<Environment> {
  const { rows } = await client.query<{ storedBytes: string; dayOfMonth: number }>(`
    SELECT
      (SELECT avg(pg_column_size(alerts.*)) FROM alerts) AS "storedBytes",
      extract(day FROM now() AT TIME ZONE 'UTC')::integer AS "dayOfMonth"`)
  const found = rows[0]
  const detailBytes = stored.reduce((sum, alert) => sum + Buffer.byteLength(alert.eventDetail.text), 0)
  return {
    ...(await describeServer(server, client)),
    rowBytes: { eventDetail: detailBytes / stored.length, stored: Number(found?.storedBytes) },
    notes:
      (found?.dayOfMonth ?? 0) <= 7
        ? ['first week of a month: every statement also looks for resends from the month before']
        : [],
  }
}

export function formatServer({ settings, ...server }: ServerEnvironment): string {
  const listed = Object.entries(settings).map(([name, value]) => `${name} ${value}`)
  return [
    `Node ${server.node}, PostgreSQL ${server.postgres} (${server.origin}), ${server.cores} cores (${server.processor})`,
    listed.join(', '),
  ].join('\n')
}

export function formatEnvironment(environment: Environment): string {
  const { rowBytes } = environment
  return [
    formatServer(environment),
    `an alert: ${grouped(rowBytes.eventDetail)} bytes of JSON, ${grouped(rowBytes.stored)} bytes as a row`,
    ...environment.notes.map(note => `note: ${note}`),
  ].join('\n')
}
