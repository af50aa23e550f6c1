import { Store } from '../../src/index.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { Output } from '../support/output.ts'
import { median } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import type { FilledMonths } from './fill-months.ts'
import { LONGEST_QUERY_MS } from './pages.ts'

const DAYS = 30
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** What a dashboard does that has no counts. */
const GROUP_ROWS = `
  SELECT
    date_trunc('hour', received_at, 'UTC') AS bucket,
    severity,
    count(*) AS alerts
  FROM alerts
  WHERE received_at >= $1
    AND received_at < $2
  GROUP BY 1, 2
  ORDER BY 1, 2`

const ROLL_UP = `
  SELECT state, closed_hours AS "closedHours"
  FROM roll_up_alert_hours(240)`

export interface TimelineFigures {
  readonly window: string
  readonly alerts: number
  readonly timelineMs: number
  readonly groupByMs: number
  /** Of the medians of the two. */
  readonly timesFaster: number
}

export interface RollUpFigures {
  readonly hours: number
  readonly seconds: number
}

interface Window {
  readonly name: string
  readonly from: string
  readonly to: string
}

/** 30 days by hour and severity, from the counts and from the rows; many rows, and a tenth of them. */
export async function measureTimeline(
  database: BenchDatabase,
  filled: FilledMonths,
  rounds: number,
  output: Output,
): Promise<{ readonly rollUp: RollUpFigures; readonly timelines: readonly TimelineFigures[] }> {
  const rollUp = await rollUpAll(database)
  output.progress(`${grouped(rollUp.hours)} hours were counted within ${rollUp.seconds.toFixed(0)} s`)
  await using store = await Store.open({
    connectionString: database.connectionString,
    maintenanceIntervalMs: 0,
    queryTimeoutMs: LONGEST_QUERY_MS,
  })
  const timelines: TimelineFigures[] = []
  for (const window of windows(filled)) {
    timelines.push(await measureWindow(database, store, window, rounds))
  }
  return { rollUp, timelines }
}

async function rollUpAll({ client }: BenchDatabase): Promise<RollUpFigures> {
  const startedAt = performance.now()
  let hours = 0
  for (;;) {
    const { rows } = await client.query<{ state: string; closedHours: number }>(ROLL_UP)
    hours += rows[0]?.closedHours ?? 0
    if (rows[0]?.state !== 'working') break
  }
  const seconds = (performance.now() - startedAt) / 1000
  // As autovacuum does it sooner or later.
  await client.query('VACUUM (ANALYZE) alert_hour_counts')
  return { hours, seconds }
}

function windows({ months }: FilledMonths): readonly Window[] {
  const present = months.at(-1)
  const oldest = months[0]
  if (!present || !oldest) throw new Error('there are no months')
  const back = (to: number) => new Date(to - DAYS * DAY_MS).toISOString()
  const now = Date.parse(present.to)
  const monthEnd = Date.parse(present.from)
  return [
    { name: '30 days up to the present month', from: back(monthEnd), to: new Date(monthEnd).toISOString() },
    {
      name: '30 days up to now, with open hours',
      from: back(now),
      to: new Date(now + HOUR_MS).toISOString(),
    },
    {
      name: '30 days of the month with a tenth',
      from: oldest.from,
      to: new Date(Date.parse(oldest.from) + DAYS * DAY_MS).toISOString(),
    },
  ]
}

async function measureWindow(
  { client }: BenchDatabase,
  store: Store,
  { name, from, to }: Window,
  rounds: number,
): Promise<TimelineFigures> {
  const timelineTimes: number[] = []
  const groupTimes: number[] = []
  let alerts = 0
  // The first of each reads into memory what the others find there.
  for (let round = 0; round <= rounds; round++) {
    const startedAt = performance.now()
    const timeline = await store.alertTimeline({ from, to, bucket: 'hour', groupBy: 'severity' })
    const between = performance.now()
    const { rows } = await client.query<{ alerts: string }>(GROUP_ROWS, [from, to])
    const endedAt = performance.now()
    alerts = rows.reduce((sum, row) => sum + Number(row.alerts), 0)
    const counted = timeline.reduce((sum, bucket) => sum + bucket.alerts, 0)
    if (counted !== alerts) throw new Error(`${name}: the timeline has ${counted} of ${alerts} alerts`)
    if (round === 0) continue
    timelineTimes.push(between - startedAt)
    groupTimes.push(endedAt - between)
  }
  const timelineMs = median(timelineTimes)
  const groupByMs = median(groupTimes)
  return { window: name, alerts, timelineMs, groupByMs, timesFaster: groupByMs / timelineMs }
}

export function formatTimeline(
  { rollUp, timelines }: Awaited<ReturnType<typeof measureTimeline>>,
  rounds: number,
): string {
  const table = formatTable(timelines, [
    { title: 'by hour and severity', value: row => row.window, align: 'left' },
    { title: 'alerts', value: row => grouped(row.alerts) },
    { title: 'alertTimeline, ms', value: row => fixed(row.timelineMs, 2) },
    { title: 'GROUP BY, ms', value: row => fixed(row.groupByMs, 1) },
    { title: 'times faster', value: row => fixed(row.timesFaster, 0) },
  ])
  return `median of ${rounds}; ${grouped(rollUp.hours)} hours were counted in ${rollUp.seconds.toFixed(0)} s before\n${table}\n`
}
