import { cpus } from 'node:os'
import type { BenchAlert } from './bench-alert.ts'
import type { BenchDatabase } from './bench-database.ts'
import type { BenchServer } from './bench-server.ts'
import { grouped } from './table.ts'

/** What a figure means nothing without. */
export interface Environment {
  readonly node: string
  readonly postgres: string
  readonly origin: string
  readonly cores: number
  readonly processor: string
  readonly settings: Readonly<Record<string, string>>
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

/** @param stored alerts that stand in the table. */
export async function describeEnvironment(
  server: BenchServer,
  database: BenchDatabase,
  stored: readonly BenchAlert[],
): Promise<Environment> {
  const { client } = database
  const settings = await client.query<{ name: string; value: string }>(
    'SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name',
    [[...SETTINGS]],
  )
  const { rows } = await client.query<{ version: string; storedBytes: string; dayOfMonth: number }>(`
    SELECT
      current_setting('server_version') AS version,
      (SELECT avg(pg_column_size(alerts.*)) FROM alerts) AS "storedBytes",
      extract(day FROM now() AT TIME ZONE 'UTC')::integer AS "dayOfMonth"`)
  const found = rows[0]
  const detailBytes = stored.reduce((sum, alert) => sum + Buffer.byteLength(alert.eventDetail.text), 0)
  const processors = cpus()
  return {
    node: process.version,
    postgres: found?.version ?? 'unknown',
    origin: server.origin,
    cores: processors.length,
    processor: processors[0]?.model ?? 'unknown',
    settings: Object.fromEntries(settings.rows.map(({ name, value }) => [name, value])),
    rowBytes: { eventDetail: detailBytes / stored.length, stored: Number(found?.storedBytes) },
    notes:
      (found?.dayOfMonth ?? 0) <= 7
        ? ['first week of a month: every statement also looks for resends from the month before']
        : [],
  }
}

export function formatEnvironment(environment: Environment): string {
  const { settings, rowBytes } = environment
  const listed = Object.entries(settings).map(([name, value]) => `${name} ${value}`)
  return [
    `Node ${environment.node}, PostgreSQL ${environment.postgres} (${environment.origin}), ${environment.cores} cores (${environment.processor})`,
    listed.join(', '),
    `an alert: ${grouped(rowBytes.eventDetail)} bytes of JSON, ${grouped(rowBytes.stored)} bytes as a row`,
    ...environment.notes.map(note => `note: ${note}`),
  ].join('\n')
}
