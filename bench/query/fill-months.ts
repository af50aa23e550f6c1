import type pg from 'pg'
import { addHosts } from '../audit/fill-log.ts'
import { makeAlerts } from '../support/bench-alert.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import { connect } from '../support/connect.ts'
import type { Output } from '../support/output.ts'
import { grouped } from '../support/table.ts'

export const QUERY_HOSTS = 200
export const RULES = 40
export const RARE_RULE = 'seldom-seen'
export const RARE_TYPE = 'NETWORK'
/** Of those that were received days after they were sensed. */
const LATE_SHARE = 0.001
export const DETAILS = 256
/** Of the alerts of another month, in the oldest one. */
const SPARSE_SHARE = 0.1
/** As many as the machines that this is read on have cores. */
const WRITERS = 2

export interface FilledMonth {
  readonly partition: string
  readonly from: string
  readonly to: string
  readonly alerts: number
}

export interface FilledMonths {
  /** Oldest first. The last one ends now. */
  readonly months: readonly FilledMonth[]
  readonly hostIds: readonly string[]
}

const CREATE_HOSTS = `
  CREATE UNLOGGED TABLE bench_hosts AS
  SELECT
    (ordinality - 1)::integer AS number,
    host_id
  FROM unnest($1::uuid[]) WITH ORDINALITY AS given (host_id)`

const CREATE_DETAILS = `
  CREATE UNLOGGED TABLE bench_details AS
  SELECT
    (ordinality - 1)::integer AS number,
    detail::jsonb
  FROM unnest($1::text[]) WITH ORDINALITY AS given (detail)`

/** Evenly over the month, in the order of the time, as alerts arrive; host, rule and severity by chance. */
function fill(partition: string): string {
  return `
  INSERT INTO ${partition} (
    alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at
  )
  SELECT
    gen_random_uuid(),
    bench_hosts.host_id,
    moment - CASE WHEN late_chance < ${LATE_SHARE} THEN late_chance / ${LATE_SHARE} * INTERVAL '3 days' ELSE INTERVAL '2 seconds' END,
    (CASE WHEN type_chance < 0.00001 THEN '${RARE_TYPE}' WHEN type_chance < 0.5 THEN 'FILE' ELSE 'PROCESS' END)::tripwire_type,
    CASE WHEN rule_chance < 0.00001 THEN '${RARE_RULE}' ELSE 'rule-' || made.number / 3 % ${RULES} END,
    bench_details.detail,
    (CASE
      WHEN severity_chance < 0.01 THEN 'CRITICAL'
      WHEN severity_chance < 0.1 THEN 'WARN'
      ELSE 'INFO'
    END)::severity_level,
    moment
  FROM (
    SELECT
      number,
      $1::timestamptz + number * (($2::timestamptz - $1::timestamptz) / ($3::integer + 1)) AS moment,
      floor(random() * ${QUERY_HOSTS})::integer AS host_number,
      random() AS late_chance,
      random() AS type_chance,
      random() AS rule_chance,
      random() AS severity_chance
    FROM generate_series(1, $3::integer) AS number
    OFFSET 0
  ) AS made
  JOIN bench_hosts
    ON bench_hosts.number = made.host_number
  JOIN bench_details
    ON bench_details.number = made.number % ${DETAILS}`
}

/** Fills so many months up to this moment, and leaves nothing for autovacuum and the checkpointer to do meanwhile. */
export async function fillMonths(
  database: BenchDatabase,
  { alerts, months }: { readonly alerts: number; readonly months: number },
  output: Output,
): Promise<FilledMonths> {
  const { client } = database
  const startedAt = performance.now()
  const hostIds = await addHosts(client, QUERY_HOSTS)
  await client.query(CREATE_HOSTS, [hostIds])
  const details = makeAlerts(hostIds, DETAILS).map(alert => alert.eventDetail.text)
  await client.query(CREATE_DETAILS, [details])
  const planned = await planMonths(client, alerts, months)
  const definitions = await dropIndexes(client)
  await shareOut(database, planned, fillMonth)
  await shareOut(database, groupByColumns(definitions), async (writer, group) => {
    await writer.query(`SET maintenance_work_mem = '256MB'`)
    for (const definition of group) await writer.query(definition)
  })
  await client.query('VACUUM (ANALYZE) alerts')
  await database.checkpoint()
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
  output.progress(`${grouped(alerts)} alerts of ${months} months were filled in within ${seconds} s`)
  return { months: planned, hostIds }
}

/** Two that are built at once and have the same columns would be given the same name on each partition. */
function groupByColumns(definitions: readonly string[]): readonly (readonly string[])[] {
  const columnsOf = (definition: string) => /\(([^)]*)\)/.exec(definition)?.[1]
  return [...Map.groupBy(definitions, columnsOf).values()]
}

/** Works the pieces off, several at a time. */
async function shareOut<Piece>(
  database: BenchDatabase,
  pieces: readonly Piece[],
  work: (client: pg.Client, piece: Piece) => Promise<void>,
): Promise<void> {
  const waiting = [...pieces]
  await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      const client = await connect(database.connectionString)
      try {
        for (let piece = waiting.shift(); piece !== undefined; piece = waiting.shift())
          await work(client, piece)
      } finally {
        await client.end()
      }
    }),
  )
}

/** Of the parent, and of each month where it has one of its own. */
const LIST_INDEXES = `
  SELECT
    indexrelid::regclass::text AS name,
    replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS definition
  FROM pg_index
  JOIN pg_class
    ON pg_class.oid = indexrelid
  WHERE NOT relispartition
    AND indrelid IN (
      SELECT relid
      FROM pg_partition_tree('alerts')
    )`

/** Building an index of millions of rows at once takes a part of the time. Returns the statements that make them anew. */
async function dropIndexes(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string; definition: string }>(LIST_INDEXES)
  for (const { name } of rows) await client.query(`DROP INDEX ${name}`)
  return rows.map(({ definition }) => definition)
}

async function planMonths(
  client: pg.Client,
  alerts: number,
  months: number,
): Promise<readonly FilledMonth[]> {
  const now = new Date()
  const first = (monthsBefore: number) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - monthsBefore)).toISOString()
  const share = alerts / (months - 1 + SPARSE_SHARE)
  const planned: FilledMonth[] = []
  for (let before = months - 1; before >= 0; before--) {
    const from = first(before)
    await client.query('SELECT ensure_alert_partition($1)', [from])
    planned.push({
      partition: `alerts_y${from.slice(0, 4)}m${from.slice(5, 7)}`,
      from,
      to: before === 0 ? now.toISOString() : first(before - 1),
      alerts: Math.round(before === months - 1 ? share * SPARSE_SHARE : share),
    })
  }
  return planned
}

/** Without the triggers, which look whether each of these alerts is a resend: that would take most of the time. */
async function fillMonth(client: pg.Client, { partition, from, to, alerts }: FilledMonth): Promise<void> {
  await client.query(`ALTER TABLE ${partition} DISABLE TRIGGER USER`)
  await client.query(fill(partition), [from, to, alerts])
  await client.query(`ALTER TABLE ${partition} ENABLE TRIGGER USER`)
}
