import { existsSync, readdirSync } from 'node:fs'
import pg from 'pg'
import { Spool } from '../../src/spool/spool.ts'
import { bounded, untilItWorks } from '../support/bounded.ts'

export interface StoredAlert {
  readonly alertId: string
  readonly hostId: string
  readonly timestampMs: string
  readonly receivedAtMs: string
  readonly tripwireType: string
  readonly ruleName: string
  readonly severity: string
  readonly detail: string | null
}

/** Where alerts are, by their ids; an id that stands twice has two entries. */
export interface StoredContent {
  readonly alerts: ReadonlyMap<string, readonly StoredAlert[]>
  /** The number of dead letters, and their reasons. */
  readonly deadLetters: ReadonlyMap<string, readonly string[]>
  /** Ids in the spools of writers that do not run. */
  readonly spooled: ReadonlySet<string>
}

const ANSWER_MS = 30_000

const READ_ALERTS = `
  SELECT
    alert_id AS "alertId",
    host_id AS "hostId",
    (extract(epoch FROM timestamp) * 1000)::bigint AS "timestampMs",
    (extract(epoch FROM received_at) * 1000)::bigint AS "receivedAtMs",
    tripwire_type AS "tripwireType",
    rule_name AS "ruleName",
    severity,
    event_detail::text AS detail
  FROM alerts`

const READ_DEAD_LETTERS = `
  SELECT
    alert_id AS "alertId",
    reason
  FROM alert_dead_letters`

/** @param spoolDirs spools that no process has open. */
export async function readContent(url: string, spoolDirs: readonly string[]): Promise<StoredContent> {
  const spooled = new Set(spoolDirs.flatMap(readSpool))
  // A server that starts all its processes anew refuses for a while.
  return untilItWorks(ANSWER_MS, () =>
    withClient(url, async client => {
      const alerts = await client.query<StoredAlert>(READ_ALERTS)
      const letters = await client.query<{ alertId: string | null; reason: string }>(READ_DEAD_LETTERS)
      return {
        alerts: Map.groupBy(alerts.rows, row => row.alertId),
        deadLetters: reasonsByAlert(letters.rows),
        spooled,
      }
    }),
  )
}

export async function runSql(url: string, sql: string): Promise<void> {
  await untilItWorks(ANSWER_MS, () => withClient(url, client => client.query(sql)))
}

/** Files that the spool could not read. A kill must not leave any. */
export function damagedFiles(spoolDir: string): readonly string[] {
  if (!existsSync(spoolDir)) return []
  return readdirSync(spoolDir).filter(name => name.startsWith('spool.damaged'))
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'chaos check',
    connectionTimeoutMillis: 5000,
    query_timeout: 60_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await use(client)
  } finally {
    await bounded(5000, 'the end of a connection', client.end()).catch(() => undefined)
  }
}

function readSpool(folder: string): readonly string[] {
  using spool = Spool.open({ folder })
  const { entries } = spool.readOldest(10_000_000, 2 ** 40)
  return entries.map(({ alert }) => alert.alertId)
}

function reasonsByAlert(
  letters: readonly { readonly alertId: string | null; readonly reason: string }[],
): ReadonlyMap<string, readonly string[]> {
  const groups = Map.groupBy(letters, letter => letter.alertId ?? 'an alert without an id')
  return new Map([...groups].map(([alertId, group]) => [alertId, group.map(letter => letter.reason)]))
}
